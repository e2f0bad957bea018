// How the training went: bits a character of training text as it was read, and of held-out text now and then.

Views.push({
  name: "training",
  tab: "Training",
  build(section) {
    const { rows, held_out: heldOut, measured } = Content.training;
    const state = { scale: "linear" };
    const plot = Plot.plot(TrainingCurve.words(heldOut), () => TrainingCurve.figure(state), { height: 420 });
    section.append(
      figure("training", {
        title: "How did it learn?",
        words: "The line is the mean number of bits that a character of training text cost, as it was read; dots are held-out text. Fewer is better: guessing among all symbols alike costs " + `${Math.log2(Symbols.size).toFixed(2)} bits.`,
        body: rows.length || heldOut.length
          ? [el("div", { class: "controls" }, toggle("Characters axis", [["linear", "linear"], ["log", "logarithmic"]], state.scale, (scale) => { state.scale = scale; plot.redraw(); })), plot, TrainingCurve.table(heldOut)]
          : missing("The run has no metrics.csv."),
        notes: [`Held-out: ${Say.count(measured)} characters, the same ones for every dot: the network untrained, each checkpoint that the run keeps, and the end. One network, one seed.`],
      })
    );
  },
});

const TrainingCurve = {
  words: (heldOut) => `Training: ${heldOut.map((one) => `${one.what} ${Say.number(one.bits)} bits`).join(", ")}`,

  figure(state) {
    const { rows, held_out: heldOut } = Content.training;
    const dots = heldOut.filter((one) => one.characters !== null);
    const log = state.scale === "log";
    const first = rows[0]?.[0] ?? 1;
    return {
      data: [
        { x: rows.map((row) => row[0]), y: rows.map((row) => row[2]), mode: "lines", line: { color: Theme.colour("--muted"), width: 1.5 }, hovertemplate: "%{x:,} characters read: %{y:.3f} bits<extra>training text</extra>" },
        { x: dots.map((one) => (log ? Math.max(one.characters, first) : one.characters)), y: dots.map((one) => one.bits), mode: "markers", marker: { size: 11, color: Theme.colour("--accent"), line: { color: Theme.colour("--paper"), width: 1.5 } }, text: dots.map((one) => one.what), hovertemplate: "%{text}: %{y:.3f} bits<extra>held-out text</extra>" },
      ],
      layout: {
        xaxis: { type: log ? "log" : "linear", title: "characters of training text read", tickformat: "~s" },
        yaxis: { title: "bits a character", rangemode: "tozero" },
      },
    };
  },

  table: (heldOut) =>
    el("div", { class: "scroll" },
      el("ul", { class: "legend" }, el("li", {}, el("i", { class: "line-mark quiet" }), "training text"), el("li", {}, el("i", { class: "dot-mark" }), "held-out text")),
      el("table", { class: "plain" },
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "held-out text"), el("th", { scope: "col", class: "number" }, "characters read"), el("th", { scope: "col", class: "number" }, "bits a character"))),
        el("tbody", {}, heldOut.map((one) => el("tr", {}, el("th", { scope: "row" }, one.what), el("td", { class: "number" }, one.characters === null ? "–" : Say.count(one.characters)), el("td", { class: "number" }, one.bits.toFixed(3))))))),
};
