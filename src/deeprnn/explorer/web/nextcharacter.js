// The next character, as it can be read from each layer: over a text, and at one place.

Views.push({
  name: "next-character",
  tab: "Next character",
  build(section) {
    const reader = Remote.possible ? new NextCharacter() : null;
    section.append(
      figure("next-character", {
        title: "Where does the right next character appear?",
        words:
          "A linear reader of each layer guesses the next character. The strips under the text are darker the more of the probability a layer gives to the character " +
          "under which they stand, before it is read; the lowest strip but one is layer 1, the lowest the network’s own output.",
        body: [
          reader ? [reader.controls, ramp(Palette.amount, 0, 1, ["gives it 0 %", "100 %"]), el("div", { class: "side-frame" }, reader.view.element, el("div", {}, reader.readout, reader.guesses))] : missing(Content.net.refusal),
          el("h3", {}, "Over many texts"),
          NextCharacter.bars(),
        ],
        notes: [
          `Bars: bits a character that each layer’s reader needs, with 95 % intervals over files; lower is better; n = ${Facts.count("next_character")} characters, one split of the files. Circles: the same of the network untrained.`,
          Content.fitted.head_bits.length ? `In the text: readers fitted on ${Facts.fitted}. ${Facts.live}` : Facts.live,
        ],
      })
    );
    if (reader) requestAnimationFrame(() => reader.open(0));
  },
});

class NextCharacter {
  constructor() {
    this.state = { text: 0 };
    this.turn = turns();
    this.controls = el("div", { class: "controls" });
    this.readout = el("div", { class: "readout", "aria-live": "polite" });
    this.guesses = el("div", { class: "guesses stacked", id: "next-character-guesses" });
    const heads = Content.fitted.head_bits.length;
    this.rows = heads + 1;
    this.view = new TextView({ label: "Held-out text, with a strip for each layer’s guess", bands: Array(this.rows).fill({ height: 6 }), oncursor: settled(() => this.look(), 40) });
  }

  open(text) {
    this.state.text = text;
    this.controls.replaceChildren(textPicker(text, (next) => this.open(next)));
    this.view.show(Content.texts[text].symbols, firstPlace(text));
    this.load();
    this.look();
  }

  /** Bands from top to bottom: the top layer's reader to layer 1's, then the output. */
  row(band) {
    return band === this.rows - 1 ? this.rows - 1 : this.rows - 2 - band;
  }

  async load() {
    const { text } = this.state;
    const found = await Remote.ask("nextCharacter", { text });
    if (text !== this.state.text) return;
    this.found = found;
    this.view.paint((band, i) => Palette.amount(found[this.row(band)].p[i]));
    this.tell();
  }

  async look() {
    const mine = this.turn();
    const at = this.view.cursor;
    const guesses = await Remote.ask("guesses", { text: this.state.text, at, count: 5 });
    if (!mine()) return;
    this.guesses.replaceChildren(Guesses.table(guesses, Content.texts[this.state.text].symbols[at]));
    this.tell();
  }

  tell() {
    const at = this.view.cursor;
    const symbol = Content.texts[this.state.text].symbols[at];
    const heads = Guesses.heads(this.rows);
    const ranks = this.found?.map((one, row) => `${heads[row]}: ${one.rank[at] === 0 ? "first" : `${one.rank[at] + 1}th`.replace(/\b(\d*[^1])?([123])th/, (_, a = "", b) => `${a}${b}${["st", "nd", "rd"][b - 1]}`)}`);
    const first = this.found?.findIndex((one) => one.rank[at] === 0) ?? -1;
    this.readout.replaceChildren(
      el("p", { class: "glyph-line" }, "Right: ", el("b", {}, Symbols.name(symbol))),
      this.found ? el("p", {}, first < 0 ? "No layer puts it first." : `The first to put it first is ${heads[first] === "output" ? "the output" : heads[first]}.`, " Its rank: ", ranks.join(", "), ".") : el("p", { class: "hint" }, "The network is reading…")
    );
  }

  /** Measured bits of every layer's reader, trained and untrained. */
  static bars() {
    const { bits } = Content.measured.next_character;
    const words = `Bits a character read from each layer: ${bits.trained.map((one, layer) => `layer ${layer + 1} ${Say.number(one?.[0] ?? null)}`).join(", ")}`;
    const make = () => {
      const y = bits.trained.map((_, layer) => `layer ${layer + 1}`);
      const error = (figures) => ({ type: "data", symmetric: false, array: figures.map((one) => (one ? one[2] - one[0] : 0)), arrayminus: figures.map((one) => (one ? one[0] - one[1] : 0)), color: Theme.colour("--ink"), thickness: 1.2, width: 4 });
      return {
        data: [
          { type: "bar", orientation: "h", y, x: bits.trained.map((one) => one?.[0]), marker: { color: y.map((_, layer) => Palette.layer(layer, y.length)) }, error_x: error(bits.trained), width: 0.5, hovertemplate: "%{y}: %{x:.3f} bits<extra></extra>" },
          { type: "scatter", mode: "markers", y, x: bits.untrained.map((one) => one?.[0]), marker: { symbol: "circle-open", size: 9, line: { width: 2 }, color: Theme.colour("--muted") }, hovertemplate: "%{y} untrained: %{x:.3f} bits<extra></extra>" },
        ],
        layout: {
          xaxis: { title: "bits a character, read from the layer", rangemode: "tozero" },
          yaxis: { showgrid: false, ticks: "" },
        },
      };
    };
    return el("div", { class: "narrow" }, Plot.plot(words, make, { height: 110 + 44 * Facts.layers }));
  }
}
