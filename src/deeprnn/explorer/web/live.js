// A person types, and every layer reacts: its hidden states as strips, and what can be read off it about what comes next.

Views.push({
  name: "live",
  tab: "Type",
  build(section) {
    if (!Remote.possible) return section.append(figure("live", { title: "Type, and watch every layer", words: [], body: missing(Content.net.refusal) }));
    const beginning = Symbols.decode(Content.texts[0].symbols.slice(0, 400)).split("\n").slice(0, 3).join("\n").slice(0, 160);
    const input = el("textarea", { class: "typed", id: "typed", rows: 4, spellcheck: "false", autocapitalize: "off", autocomplete: "off", "aria-label": "Text for the network to read" });
    input.value = beginning;
    const strips = el("div", { class: "strips" });
    const guesses = el("div", { class: "guesses", id: "guesses" });
    const status = el("p", { class: "hint", role: "status", id: "live-status" }, "Reading the weights…");
    const write = el("button", { type: "button", id: "write" }, "Let it write 60 characters");
    const clear = el("button", { type: "button", onclick: () => { input.value = ""; input.focus(); update(); } }, "Clear");
    const view = new LiveStrips(strips);
    const turn = turns();

    async function update() {
      const mine = turn();
      const symbols = Symbols.encode(input.value);
      const end = Symbols.encode(input.value.slice(0, input.selectionStart)).length;
      const columns = view.fit();
      const answer = await Remote.ask("type", { symbols, end, columns, rows: Strips.rows, guessed: 6 });
      if (!mine()) return;
      view.show(answer, [Symbols.BOUNDARY, ...symbols]);
      guesses.replaceChildren(Guesses.table(answer.guesses, symbols[end]));
      const after = end ? `after “${Symbols.name(symbols[end - 1])}”` : "before the first character";
      status.textContent = `The guesses are those ${after}, character ${end} of ${symbols.length}. Move the caret to look elsewhere.`;
    }

    write.addEventListener("click", async () => {
      write.disabled = true;
      const before = Symbols.encode(input.value);
      const written = await Remote.ask("write", { symbols: before, count: 60, temperature: 0.6 });
      input.value += Symbols.decode(written);
      input.focus();
      input.setSelectionRange(input.value.length, input.value.length);
      write.disabled = false;
      update();
    });
    input.addEventListener("input", update);
    document.addEventListener("selectionchange", () => document.activeElement === input && update());
    Theme.onchange(() => view.repaint());
    new ResizeObserver(settled(update, 80)).observe(strips);

    section.append(
      figure("live", {
        title: "Type, and watch every layer",
        words:
          "Each character that you type is read by the network in this page. Each strip is a layer’s hidden state: a column for each character, " +
          "a row for each unit, orange above zero, blue below. Fast units are on top, slow ones at the bottom.",
        body: [
          input,
          el("div", { class: "controls under" }, write, clear),
          status,
          el("div", { class: "live-frame" }, strips, el("div", {}, el("h3", {}, "What comes next?"), guesses)),
        ],
        notes: [
          Facts.live,
          Strips.isSampled ? "Of a wide layer, 96 units are drawn, evenly along the order of their time scales." : "",
          Content.fitted.head_bits.length
            ? `A layer’s guess is that of a linear reader of its state, fitted on ${Facts.fitted}; the output’s is the network’s own.`
            : "",
        ],
      })
    );
    input.setSelectionRange(input.value.length, input.value.length);
  },
});

/** One strip a layer, the top layer on top, the characters beneath; one column a character. */
class LiveStrips {
  constructor(place) {
    this.column = 13;
    this.canvases = Content.net.layers.map(() => el("canvas", { role: "img" }));
    this.letters = el("div", { class: "letters", "aria-hidden": "true" });
    const rows = this.canvases.map((canvas, layer) => el("div", { class: "strip" }, el("span", {}, `layer ${layer + 1}`), canvas)).reverse();
    this.frame = el("div", { class: "strip-frame" }, rows, el("div", { class: "strip" }, el("span", {}, "reads"), this.letters));
    place.append(this.frame, ramp(Palette.signed, -1, 1, ["low", "high"]));
    this.place = place;
  }

  /** How many columns there is room for. */
  fit() {
    return Math.max(8, Math.floor((this.place.clientWidth - 64) / this.column));
  }

  show(answer, symbols) {
    this.last = { answer, symbols };
    this.repaint();
  }

  repaint() {
    if (!this.last) return;
    const { answer, symbols } = this.last;
    this.canvases.forEach((canvas, layer) => {
      const units = Strips.rows[layer].length;
      const columns = answer.strips[layer].length / units;
      Strips.draw(canvas, answer.strips[layer], units, columns);
      canvas.style.width = `${columns * this.column}px`;
      canvas.setAttribute("aria-label", `Hidden states of layer ${layer + 1} over the last ${columns} characters`);
    });
    const columns = answer.strips[0].length / Strips.rows[0].length;
    const shown = symbols.slice(answer.first, answer.first + columns);
    this.letters.replaceChildren(...shown.map((symbol, k) => el("i", { class: k === columns - 1 ? "now" : "" }, Symbols.glyph(symbol))));
  }
}

/** Bars of the likeliest next characters, a column for each layer and one for the output. */
const Guesses = {
  heads(count) {
    const layers = Array.from({ length: count - 1 }, (_, layer) => `layer ${layer + 1}`);
    return [...layers, "output"];
  },

  table(guesses, right) {
    const heads = Guesses.heads(guesses.length);
    return el(
      "div",
      { class: "guess-columns", style: { "--columns": heads.length } },
      guesses.map((list, row) =>
        el(
          "section",
          { "aria-label": `Guesses of ${heads[row]}`, "data-source": heads[row] },
          el("h4", {}, heads[row]),
          el("ol", {}, list.map(({ symbol, p }) => Guesses.item(symbol, p, symbol === right)))
        )
      )
    );
  },

  item(symbol, p, isRight) {
    return el(
      "li",
      { class: isRight ? "right" : "" },
      el("span", { class: "glyph" }, Symbols.name(symbol)),
      el("span", { class: "bar" }, el("i", { style: { width: `${(100 * p).toFixed(1)}%` } })),
      el("span", { class: "p" }, Say.percent(p)),
      isRight ? el("span", { class: "sr" }, " is what comes") : null
    );
  },
};
