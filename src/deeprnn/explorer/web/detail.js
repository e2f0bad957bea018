// One label in full: what it asks, every control and layer with its interval.

const Detail = {
  of(probe) {
    const told = Content.labels.find((label) => label.name === probe.label);
    const figures = Content.measured.labels[probe.label];
    const classes = told ? `It tells apart: ${Say.list(told.classes)}.` : "";
    const reach = !told ? "" : told.causal ? "The text so far decides it." : "Only what follows decides it: a right answer is a good guess.";
    return el(
      "div",
      {},
      el("h3", {}, probe.label),
      el("p", {}, told?.meaning ? `It asks ${told.meaning.replace(/^what /, "what ")}. ${classes} ${reach}` : `${classes} ${reach}`),
      Detail.chart(probe, figures),
      el("p", { class: "note" }, `Most frequent class: ${Say.share(probe.chance)}. Shuffled answers: ${Detail.shuffled(figures)}. Bars: 95 % bootstrap over files.`)
    );
  },

  shuffled(figures) {
    const values = figures.shuffled.filter(Boolean).map((one) => one[0]);
    return values.length ? Say.share(Math.max(...values)) : "–";
  },

  /** Rows: windows, then each layer, trained above untrained; one axis of accuracy. */
  chart(probe, figures) {
    const windows = Object.entries(figures.windows);
    const low = Math.min(probe.chance, ...windows.map(([, value]) => value), ...probe.untrained, ...probe.layers);
    const from = Math.max(0, Math.floor(low * 10) / 10), width = 320, left = 92, line = 22;
    const at = (value) => left + ((value - from) / (1 - from)) * (width - left - 40);
    const rows = [];
    let y = 14;
    const row = (words, marks) => {
      rows.push(el("svg:text", { x: left - 8, y: y + 4, class: "name" }, words), el("svg:line", { x1: left, x2: width - 40, y1: y, y2: y, class: "guide" }), marks(y));
      y += line;
    };
    windows.forEach(([k, value]) => row(`last ${k}`, (y) => el("svg:rect", { x: at(value) - 3.5, y: y - 3.5, width: 7, height: 7, class: "window" })));
    probe.layers.forEach((value, layer) =>
      row(`layer ${layer + 1}`, (y) => [
        Detail.bar(figures.accuracy.untrained[layer], at, y, "hollow", 3.5),
        Detail.bar(figures.accuracy.trained[layer] ?? [value, null, null], at, y, "dot", 4.5),
        el("svg:text", { x: width - 34, y: y + 4, class: "value" }, Say.share(value)),
      ])
    );
    const ticks = [];
    for (let tick = Math.ceil(from * 5) / 5; tick <= 1.0001; tick += 0.2) ticks.push(el("svg:text", { x: at(tick), y: y + 6, class: "axis" }, Say.share(tick)));
    const words = `Accuracy of ${probe.label}: ${probe.layers.map((value, layer) => `layer ${layer + 1} ${Say.share(value)}`).join(", ")}; last ${Content.measured.summary.window} characters ${Say.share(probe.window)}`;
    return el(
      "div",
      {},
      el("svg:svg", { class: "chart", viewBox: `0 0 ${width} ${y + 12}`, role: "img", "aria-label": words }, rows, ticks),
      el(
        "ul",
        { class: "legend" },
        el("li", {}, el("i", { class: "mark dot" }), "this network"),
        el("li", {}, el("i", { class: "mark hollow" }), "untrained"),
        el("li", {}, el("i", { class: "mark square" }), "characters alone")
      )
    );
  },

  bar(figure, at, y, kind, r) {
    if (!figure) return null;
    const [value, low, high] = figure;
    return [
      low === null ? null : el("svg:line", { x1: at(Math.max(low, 0)), x2: at(high), y1: y, y2: y, class: kind === "dot" ? "spread" : "spread faint" }),
      el("svg:circle", { cx: at(value), cy: y, r, class: kind }),
    ];
  },
};
