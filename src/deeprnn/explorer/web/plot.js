// The plotting library, parsed when the first plot is wanted, and the one way in which all plots are set.

const Plot = (() => {
  let loaded = false;

  function load() {
    if (loaded) return;
    const script = document.createElement("script");
    script.textContent = document.getElementById("library").textContent;
    document.head.append(script);
    loaded = true;
  }

  const axis = (extra) => ({
    gridcolor: Theme.colour("--rule"),
    zeroline: false,
    linecolor: Theme.colour("--muted"),
    tickcolor: Theme.colour("--muted"),
    ticks: "outside",
    ticklen: 4,
    automargin: true,
    fixedrange: true,
    ...extra,
    title: { standoff: 8, font: { size: 13, color: Theme.colour("--muted") }, ...(typeof extra?.title === "string" ? { text: extra.title } : extra?.title) },
  });

  /** Every axis of a layout in the page's colours. */
  function layout(given) {
    const axes = Object.fromEntries(Object.entries(given).filter(([key]) => /^[xy]axis/.test(key)).map(([key, value]) => [key, axis(value)]));
    const font = { family: Theme.colour("--sans"), size: 13, color: Theme.colour("--ink") };
    return {
      margin: { l: 8, r: 8, t: 28, b: 8 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      showlegend: false,
      hoverlabel: { font: { family: font.family, size: 13 }, bgcolor: Theme.colour("--paper"), bordercolor: Theme.colour("--muted"), namelength: -1 },
      ...given,
      ...axes,
      font,
    };
  }

  /**
   * A plot that is drawn when it is first seen, and again when the theme or its width changes.
   * @param make gives {data, layout}; it is called for each drawing. @param words for those who don't see it.
   */
  function plot(words, make, { height = 360 } = {}) {
    const place = el("div", { class: "plot", role: "img", "aria-label": words, style: { height: `${height}px` } });
    let width = 0;
    const draw = () => {
      if (!place.clientWidth) return;
      // The library stands at the page's end: until all of the page is read it is not whole.
      if (document.readyState === "loading") return addEventListener("DOMContentLoaded", draw, { once: true });
      load();
      width = place.clientWidth;
      const { data, layout: given } = make(width);
      place.style.height = `${given.height ?? height}px`;
      Plotly.react(place, data, { height, ...layout(given), width }, { displayModeBar: false, responsive: false });
    };
    new ResizeObserver(settled(() => place.clientWidth !== width && draw(), 60)).observe(place);
    Theme.onchange(() => {
      width = 0; // a plot that is hidden now is drawn anew when it is shown
      draw();
    });
    place.redraw = draw;
    return place;
  }

  return { plot };
})();
