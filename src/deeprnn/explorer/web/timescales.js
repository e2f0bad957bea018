// How slowly each unit changes, and how long it takes to rebuild its context.

Views.push({
  name: "timescales",
  tab: "Fast and slow units",
  build(section) {
    const gates = [...new Set(Content.measured.scales.flatMap((layer) => Object.keys(layer.gates)))];
    const shares = gates.flatMap((gate) => ["open", "shut"].map((end) => ({ gate, end, words: `gate ${gate} (${gateMeaning(gate)}) ${end}` })));
    const state = { share: null };
    const plot = Plot.plot(TimeScales.words(), (width) => TimeScales.figure(state, width), { height: 120 + 74 * Facts.layers });
    const options = [["layer", "layer by layer"], ...shares.map(({ words }, index) => [index, `share of steps with ${words}`])];
    const set = (chosen) => {
      state.share = shares[chosen] ?? null;
      plot.redraw();
    };
    section.append(
      figure("timescales", {
        title: "How slowly does each unit change?",
        words: [
          "Each dot is a unit. To the right are slow ones: it takes that many characters until the unit no longer resembles itself. A unit is as slow as what it follows: one that tells the indentation is slow because indentation is.",
          gates.length ? "Or set the units against a gate: how often it is open, above 0.9, or shut, below 0.1." : "",
        ],
        body: [gates.length ? el("div", { class: "controls" }, choice("From bottom to top", options, "layer", set)) : null, plot, TimeScales.table()],
        notes: [
          `Autocorrelation time: the first lag at which a unit’s correlation with itself falls below 1/e; on up to 16 of the ${Say.many(Content.measured.summary.files, "held-out file")}. Dots far to the right of all others are few; the bar is the median. One network, one seed. ` +
            "Units that never fall that far are left out.",
          `Context: each text is read after two different histories; the median unit’s time until it has at least half of its highest agreement; n = ${Facts.count("construction")} texts.`,
        ],
      })
    );
  },
});

const TimeScales = {
  times: (layer) => Content.measured.scales[layer].autocorrelation_time,

  median(values) {
    const sorted = values.filter((value) => value !== null).sort((a, b) => a - b);
    return sorted.length ? sorted[Math.floor(sorted.length / 2)] : null;
  },

  words: () => `Autocorrelation times of units; medians: ${Content.net.layers.map((_, layer) => `layer ${layer + 1} ${Say.number(TimeScales.median(TimeScales.times(layer)), 1)} characters`).join(", ")}`,

  figure(state, width) {
    const layers = Content.net.layers.map((_, layer) => layer);
    const scattered = (unit) => (((unit * 0.618034) % 1) - 0.5) * 0.62;
    const { share } = state;
    const data = layers.map((layer) => {
      const times = TimeScales.times(layer);
      const units = [...times.keys()].filter((unit) => times[unit] !== null);
      const gate = share ? (Content.measured.scales[layer].gates[share.gate]?.[share.end] ?? []) : null;
      return {
        x: units.map((unit) => times[unit]),
        y: units.map((unit) => (share ? gate[unit] : layer + 1 + scattered(unit))),
        customdata: units,
        mode: "markers",
        name: `layer ${layer + 1}`,
        marker: { size: 6, color: Palette.layer(layer, layers.length), opacity: 0.7, symbol: ["circle", "square", "diamond", "triangle-up", "x"][layer % 5] },
        hovertemplate: `layer ${layer + 1}, unit %{customdata}: %{x:.1f} characters<extra></extra>`,
      };
    });
    const medians = share ? [] : layers.map((layer) => {
      const x = TimeScales.median(TimeScales.times(layer));
      return { type: "line", x0: x, x1: x, y0: layer + 0.6, y1: layer + 1.4, line: { color: Theme.colour("--ink"), width: 3 } };
    });
    const ticks = width < 500 ? [1, 3, 10, 30, 100, 300] : [1, 2, 5, 10, 20, 50, 100, 200, 500];
    return {
      data,
      layout: {
        xaxis: { type: "log", tickvals: ticks, ticktext: ticks.map(String), title: "autocorrelation time, in characters" },
        yaxis: share
          ? { title: `share of steps: ${share.words}`, rangemode: "tozero" }
          : { tickvals: layers.map((layer) => layer + 1), ticktext: layers.map((layer) => `layer ${layer + 1}`), showgrid: false, ticks: "", range: [0.4, layers.length + 0.6] },
        shapes: medians,
        showlegend: Boolean(share),
        legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, itemclick: false, itemdoubleclick: false },
        height: share ? 420 : 120 + 74 * layers.length,
      },
    };
  },

  table() {
    const { construction } = Content.measured;
    const cell = (control, layer, quiet) => {
      const [median, first, third] = construction[control][layer];
      return el("td", { class: `number${quiet ? " quiet" : ""}` }, median === null ? "–" : `${Say.number(median, 0)} (${Say.number(first, 0)}–${Say.number(third, 0)})`);
    };
    const rows = Content.net.layers.map((_, layer) =>
      el("tr", {}, el("th", { scope: "row" }, `layer ${layer + 1}`), el("td", { class: "number" }, Say.number(TimeScales.median(TimeScales.times(layer)), 1)), cell("trained", layer, false), cell("untrained", layer, true)));
    return el("div", { class: "scroll" }, el("table", { class: "plain" },
      el("caption", {}, "In characters; quartiles over units in brackets"),
      el("thead", {}, el("tr", {}, el("th", {}, ""), ["autocorrelation time", "context rebuilt", "untrained"].map((words) => el("th", { scope: "col", class: "number" }, words)))),
      el("tbody", {}, rows)));
  },
};
