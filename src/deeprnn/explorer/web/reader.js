// Held-out text coloured by what a probe reads, or by a unit or gate, in every layer at once; the true labels beneath.

Views.push({
  name: "reader",
  tab: "Read along",
  build(section) {
    if (!Remote.possible) return section.append(figure("reader", { title: "Read along with every layer", words: [], body: missing(Content.net.refusal) }));
    const reader = new Reader();
    section.append(
      figure("reader", {
        title: "Read along with every layer",
        words:
          "Under each line of the text is a strip for each layer, the top layer on top, and last a strip with the true answer. " +
          "With a probe, a strip shows what a linear reader of that layer takes the character for, paler where it is unsure. With a unit or a gate, it shows the number itself.",
        body: [reader.controls, reader.key, el("div", { class: "side-frame" }, reader.view.element, reader.readout)],
        notes: [
          `Probes fitted on ${Facts.fitted}. One fit, one seed.`,
          Facts.live,
        ],
      })
    );
    requestAnimationFrame(() => reader.open(0));
  },
});

class Reader {
  constructor() {
    const probes = Content.fitted.probes;
    const probe = probes.find((one) => one.label === "region") ?? probes.at(-1);
    this.state = { text: 0, by: probes.length ? "probe" : "state.h", label: probe?.label ?? Content.labels[0].name, shown: "likeliest", units: null };
    this.turn = turns();
    this.controls = el("div", { class: "controls" });
    this.key = el("div", { class: "key" });
    this.readout = el("div", { class: "readout", "aria-live": "polite", id: "reader-readout" });
    const bands = [...Array(Facts.layers).fill({ height: 6 }), { height: 6 }];
    this.view = new TextView({ label: "Held-out text with a strip for each layer", bands, oncursor: () => this.tell() });
    Remote.start().then((parts) => {
      this.parts = parts;
      this.setControls();
    });
    Theme.onchange(() => this.setKey());
  }

  open(text) {
    this.state.text = text;
    this.view.show(Content.texts[text].symbols, firstPlace(text));
    this.load();
  }

  /** The label whose true classes are the last strip. */
  get label() {
    return Content.labels.find((label) => label.name === this.state.label);
  }

  get probe() {
    return Content.fitted.probes.find((one) => one.label === this.state.label);
  }

  setControls() {
    const { state } = this;
    // A label that no probe was fitted for has true answers all the same, beside a unit or a gate.
    if (state.by === "probe" && !this.probe) state.label = Content.fitted.probes.at(-1).label;
    const set = (change) => {
      Object.assign(state, change);
      this.setControls();
      this.load();
    };
    const parts = [...new Set(this.parts.flat())].map((part) => [part, Reader.words(part)]);
    const probing = Content.fitted.probes.length ? [["probe", "what a probe reads"]] : [];
    const labels = (state.by === "probe" ? Content.fitted.probes.map((one) => one.label) : Content.labels.map((one) => one.name)).map((name) => [name, name]);
    const controls = [
      textPicker(state.text, (text) => this.open(text)),
      choice("Colour by", [...probing, ...parts], state.by, (by) => set({ by, units: null, shown: "likeliest" })),
      choice("True answers of", labels, state.label, (label) => set({ label, shown: state.by === "probe" ? "likeliest" : 0, units: null })),
    ];
    if (state.by === "probe") {
      const classes = this.label.classes.map((name, index) => [index, `how sure of: ${name}`]);
      controls.push(choice("Show", [["likeliest", "the likeliest answer"], ...classes], state.shown, (shown) => set({ shown: shown === "likeliest" ? shown : Number(shown) })));
    } else {
      state.shown = state.shown === "likeliest" ? this.commonClass() : state.shown;
      controls.push(choice("Best units for", this.label.classes.map((name, index) => [index, name]), state.shown, (shown) => set({ shown: Number(shown), units: null })));
      state.units ??= this.bestUnits();
      controls.push(...state.units.map((unit, layer) => this.unitInput(unit, layer)));
    }
    this.controls.replaceChildren(...controls);
    this.setKey();
  }

  unitInput(unit, layer) {
    const input = el("input", { type: "number", min: 0, max: Content.net.layers[layer].units - 1, value: unit, class: "unit" });
    input.addEventListener("change", () => {
      this.state.units[layer] = Math.min(Math.max(Number(input.value) || 0, 0), Content.net.layers[layer].units - 1);
      input.value = this.state.units[layer];
      this.load();
    });
    return el("label", { class: "control" }, el("span", {}, `unit of layer ${layer + 1}`), input);
  }

  /** A class that is not the first one, where there are two; it is what "best unit" is most often asked of. */
  commonClass() {
    return this.label.classes.length - 1 ? 1 : 0;
  }

  bestUnits() {
    const best = Content.measured.best.filter((one) => one.label === this.state.label && one.class === this.label.classes[this.state.shown]);
    return Content.net.layers.map((_, layer) => best.find((one) => one.layer === layer + 1)?.unit ?? 0);
  }

  setKey() {
    if (!this.label) return;
    const classes = this.label.classes.map((name, index) => [Palette.kind(index), name]);
    const range = this.state.by === "probe" ? null : this.isGate() ? ramp(Palette.amount, 0, 1, ["shut 0", "open 1"]) : ramp(Palette.signed, -1, 1, ["below zero", "above zero"]);
    const sure = this.state.by === "probe" && this.state.shown !== "likeliest" ? ramp(Palette.amount, 0, 1, ["surely not", "surely"]) : null;
    this.key.replaceChildren(...[range, sure, legend(classes)].filter(Boolean));
  }

  /** "hidden state of a unit", "state c of a unit", "gate f (forget) of a unit". */
  static words(part) {
    const [kind, name] = part.split(".");
    if (kind === "state") return name === "h" ? "hidden state of a unit" : `state ${name} of a unit`;
    const meaning = gateMeaning(name);
    return `gate ${name}${meaning ? ` (${meaning})` : ""} of a unit`;
  }

  /** Whether what is shown multiplies something, from shut at 0 to open at 1. */
  isGate() {
    const [kind, name] = this.state.by.split(".");
    return kind === "gate" && Boolean(gateMeaning(name));
  }

  async load() {
    const { state } = this;
    const mine = this.turn();
    this.readout.replaceChildren(el("p", { class: "hint" }, "The network is reading…"));
    this.rows = null;
    this.codes = codesOf(state.text, state.label);
    // The beginning first, so that there is something to see while the rest is read.
    for (const count of [240, Infinity]) {
      const rows = await this.ask(count);
      if (!mine()) return;
      this.rows = rows;
      this.paint();
      this.tell();
    }
  }

  /** The rows of all layers over the first `count` characters, or a few more. */
  ask(count) {
    const { state } = this;
    if (state.by === "probe") {
      const { first, classes } = this.probe;
      return Remote.ask("probe", { text: state.text, first, classes, count });
    }
    state.units ??= this.bestUnits();
    const series = (layer) => Remote.ask("series", { text: state.text, layer, part: state.by, unit: state.units[layer], count });
    return Promise.all(Content.net.layers.map((_, layer) => (this.hasPart(layer) ? series(layer) : null)));
  }

  /** Whether a layer's row reaches character i yet. */
  reaches(layer, i) {
    return i < this.rows[layer].length / (this.state.by === "probe" ? this.probe.classes : 1);
  }

  hasPart(layer) {
    return this.parts[layer].includes(this.state.by);
  }

  /** What the probe of a layer takes character i for, and how surely. */
  likeliest(layer, i) {
    const { classes } = this.probe;
    const p = this.rows[layer].subarray(i * classes, (i + 1) * classes);
    let best = 0;
    p.forEach((value, index) => (best = value > p[best] ? index : best));
    return [best, p[best]];
  }

  paint() {
    const { state, rows, codes } = this;
    const layers = Facts.layers;
    const reach = rows.map((row) => (row ? row.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9) : 1));
    this.view.paint((band, i) => {
      if (band === layers) return codes[i] < 0 ? null : Palette.kind(codes[i]);
      const layer = layers - 1 - band, row = rows[layer];
      if (!row || !this.reaches(layer, i)) return null;
      if (state.by !== "probe") return this.isGate() ? Palette.amount(row[i]) : Palette.signed(row[i] / reach[layer]);
      if (state.shown !== "likeliest") return Palette.amount(row[i * this.probe.classes + state.shown]);
      const [best, p] = this.likeliest(layer, i);
      return Palette.kind(best, p);
    });
  }

  /** The character under the cursor in words. */
  tell() {
    if (!this.rows) return;
    const i = this.view.cursor, { state } = this;
    const truth = this.codes[i] < 0 ? "the question does not apply" : this.label.classes[this.codes[i]];
    const lines = Content.net.layers.map((_, layer) => {
      if (!this.rows[layer] || !this.reaches(layer, i)) return el("tr", {}, el("th", {}, `layer ${layer + 1}`), el("td", {}, "–"));
      if (state.by !== "probe") return el("tr", {}, el("th", {}, `layer ${layer + 1}, unit ${state.units[layer]}`), el("td", {}, Say.number(this.rows[layer][i], 3)));
      const [best, p] = this.likeliest(layer, i);
      const right = best === this.codes[i];
      const asked = state.shown === "likeliest" ? [this.label.classes[best], p] : [this.label.classes[state.shown], this.rows[layer][i * this.probe.classes + state.shown]];
      return el("tr", {}, el("th", {}, `layer ${layer + 1}`), el("td", {}, asked[0], " ", el("b", {}, Say.percent(asked[1]))), el("td", {}, this.codes[i] < 0 || state.shown !== "likeliest" ? "" : right ? "right" : "wrong"));
    });
    this.readout.replaceChildren(
      el("p", { class: "glyph-line" }, el("b", {}, Symbols.name(Content.texts[state.text].symbols[i])), ` character ${i + 1}`),
      el("p", {}, `${state.label}: `, el("b", {}, truth)),
      el("table", { class: "small" }, el("tbody", {}, lines.reverse())),
      el("p", { class: "hint" }, this.accuracies())
    );
  }

  accuracies() {
    if (this.state.by !== "probe") return "";
    return `Accuracy of these probes on files that they were not fitted on: ${this.probe.accuracy.map((value, layer) => `layer ${layer + 1} ${Say.share(value)}`).join(", ")}.`;
  }
}
