// What each layer knows: labels, the one that needs least context first, by layers, beside the controls.

const Views = [];

Views.push({
  name: "matrix",
  tab: "What each layer knows",
  build(section) {
    const { summary } = Content.measured;
    const state = { measure: "accuracy", row: 0 };
    const table = el("div", { class: "scroll" });
    const detail = el("div", { class: "detail", id: "matrix-detail", "aria-live": "polite" });
    const show = () => {
      table.replaceChildren(Matrix.table(summary.probes, state, (row) => { state.row = row; mark(); }));
      mark();
    };
    const mark = () => {
      table.querySelectorAll("tbody tr").forEach((line, row) => line.classList.toggle("chosen", row === state.row));
      table.querySelectorAll("tbody button").forEach((button, row) => button.setAttribute("aria-pressed", row === state.row));
      detail.replaceChildren(Detail.of(summary.probes[state.row]));
    };
    const measures = [["accuracy", "Accuracy"], ["bits", `Bits added to the last ${summary.window} characters`]];
    section.append(
      Matrix.verdict(summary),
      figure("matrix", {
        title: "What can be read off each layer",
        words:
          "Each row asks one question about the current character. A simple reader (a linear probe) answers it from one layer’s " +
          "hidden state, on files that it was not fitted on. Questions stand in the order of how much of the preceding text they need. " +
          "Colour means: better than both controls, the last few characters alone and the same network before training. " +
          "Grey means: not better than both, so the layer need not have learned it.",
        body: [
          el("div", { class: "controls" }, toggle("Show", measures, state.measure, (value) => { state.measure = value; show(); })),
          el("div", { class: "matrix-frame" }, table, detail),
        ],
        notes: [
          `${Facts.measured}. “Last ${summary.window}” reads the last ${summary.window} characters alone; “untrained” is the best layer of the same network before training. ` +
            (summary.against ? `“Other net” is the best layer of ${summary.against.run}. ` : "") +
            "In the last column ● is this network, ○ the untrained one. A frame marks the best layer. ◇ before a question: only what follows decides it, so a right answer is a good guess.",
        ],
      })
    );
    Theme.onchange(show);
    show();
  },
});

const Matrix = {
  verdict(summary) {
    const interval = summary.rho === null ? "" : `ρ = ${Say.signed(summary.rho)} (${Say.signed(summary.low)} to ${Say.signed(summary.high)})`;
    return el(
      "div",
      { class: "verdict", id: "verdict" },
      el("p", { class: "kicker" }, "The higher the layer, the more context its features need?"),
      el("p", { class: "finding" }, summary.verdict[0].toUpperCase() + summary.verdict.slice(1), el("span", {}, interval)),
      el("p", {}, summary.paragraph),
      summary.against ? el("p", {}, Matrix.against(summary)) : null
    );
  },

  against({ against, bits_per_character: own }) {
    const more = against.bits_over_run;
    return (
      `Beside it, ${against.run} (${against.network.join(", ")}; ${Say.count(against.parameters)} parameters) needs ` +
      `${against.bits_per_character.value.toFixed(3)} bits a character where this network needs ${own.toFixed(3)}, on the same text: ` +
      `${Say.signed(more.value, 3)} (${Say.signed(more.low, 3)} to ${Say.signed(more.high, 3)}).`
    );
  },

  table(probes, state, onchoose) {
    const layers = [...Array(Facts.layers).keys()];
    const bits = state.measure === "bits";
    const { summary } = Content.measured;
    const best = Math.max(...probes.flatMap((probe) => probe.bits));
    const heads = [
      el("th", { scope: "col" }, "Question"),
      el("th", { scope: "col", class: "wide", title: "how much of the answer the last characters leave open, 0 to 1" }, "Context it needs"),
      bits ? null : el("th", { scope: "col", class: "number wide" }, "most frequent"),
      bits ? null : el("th", { scope: "col", class: "number" }, `last ${summary.window}`),
      el("th", { scope: "col", class: "number" }, "un\u00adtrained"),
      summary.against && !bits ? el("th", { scope: "col", class: "number wide" }, "other net") : null,
      layers.map((layer) => el("th", { scope: "col", class: "number layer" }, `layer\u00a0${layer + 1}`)),
      el("th", { scope: "col", class: "wide" }, "Centre of gravity"),
    ];
    const rows = probes.map((probe, row) => Matrix.row(probe, { bits, best, onchoose: () => onchoose(row) }));
    const body = el("tbody", { onkeydown: (event) => Matrix.move(event, body) }, rows);
    return el("table", { class: summary.against ? "matrix compared" : "matrix", "data-measure": state.measure }, el("thead", {}, el("tr", {}, heads)), body);
  },

  row(probe, { bits, best, onchoose }) {
    const told = Content.labels.find((label) => label.name === probe.label);
    const values = bits ? probe.bits : probe.layers;
    const top = values.indexOf(Math.max(...values));
    const text = bits ? (value) => Say.number(value, 2) : Say.share;
    const name = el("button", { type: "button", onclick: onchoose, onfocus: onchoose, title: told?.meaning ?? "" }, told && !told.causal ? "◇\u00a0" : "", probe.label);
    const figures = Content.measured.labels[probe.label];
    const bare = bits ? Math.max(...figures.bits.untrained.map((one) => one?.[0] ?? 0)) : Math.max(...probe.untrained);
    return el(
      "tr",
      { "data-label": probe.label, onclick: onchoose },
      el("th", { scope: "row" }, name),
      el("td", { class: "wide" }, Matrix.need(probe.need)),
      bits ? null : el("td", { class: "number control-cell wide" }, Say.share(probe.chance)),
      bits ? null : el("td", { class: "number control-cell", "data-part": "window" }, Say.share(probe.window)),
      el("td", { class: "number control-cell", "data-part": "untrained" }, text(bare)),
      Content.measured.summary.against && !bits ? el("td", { class: "number control-cell wide", "data-part": "other" }, Say.share(Math.max(...probe.against))) : null,
      values.map((value, layer) => Matrix.cell(probe, { value, layer, text, isBest: layer === top, bits, best })),
      el("td", { class: "wide" }, Matrix.centre(figures.centre))
    );
  },

  cell(probe, { value, layer, text, isBest, bits, best }) {
    const above = probe.above[layer];
    const lead = bits ? value / best : (value - Math.max(probe.window, probe.untrained[layer])) / 0.4;
    const share = above ? 0.12 + 0.88 * Math.min(Math.max(lead, 0), 1) : 0;
    const style = above ? { background: Palette.amount(share), color: share > 0.5 !== Theme.dark() ? "#fff" : Theme.dark() && share > 0.5 ? "#10151b" : "inherit" } : {};
    const words = `${Facts.layer(layer)}: ${text(value)}${above ? "" : ", not above its controls"}${isBest ? ", the best layer" : ""}`;
    return el("td", { class: `number cell${above ? "" : " below"}${isBest ? " best" : ""}`, style, title: words, "data-layer": layer + 1 }, el("span", {}, text(value)));
  },

  /** A bar from 0 to 1. */
  need(value) {
    return el("span", { class: "need", title: `needs ${value.toFixed(2)}` }, el("i", { style: { width: `${100 * value}%` } }), el("b", {}, Say.share(value)));
  },

  /** Where over the layers a label can be read: the net's centre with its interval, and that of the net untrained. */
  centre({ trained, untrained }) {
    const width = 110, at = (layer) => (Facts.layers < 2 ? width / 2 : 8 + ((layer - 1) / (Facts.layers - 1)) * (width - 16));
    const words = `centre at layer ${Say.number(trained?.[0] ?? null)}, untrained ${Say.number(untrained?.[0] ?? null)}`;
    return el(
      "svg:svg",
      { viewBox: `0 0 ${width} 18`, width, height: 18, role: "img", "aria-label": words },
      el("svg:title", {}, words),
      [...Array(Facts.layers).keys()].map((layer) => el("svg:line", { x1: at(layer + 1), x2: at(layer + 1), y1: 3, y2: 15, class: "tick" })),
      untrained ? el("svg:circle", { cx: at(untrained[0]), cy: 9, r: 3.5, class: "hollow" }) : null,
      trained ? el("svg:line", { x1: at(trained[1]), x2: at(trained[2]), y1: 9, y2: 9, class: "spread" }) : null,
      trained ? el("svg:circle", { cx: at(trained[0]), cy: 9, r: 4, class: "dot" }) : null
    );
  },

  /** Arrow keys go from question to question. */
  move(event, body) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const buttons = [...body.querySelectorAll("button")];
    const next = buttons[buttons.indexOf(document.activeElement) + step];
    if (next) {
      event.preventDefault();
      next.focus();
    }
  },
};
