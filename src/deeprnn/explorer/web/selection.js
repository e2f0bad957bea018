// A span of text is selected: the units that are on just there, where else they are on, and what the labels say there.

Views.push({
  name: "selection",
  tab: "Find units",
  build(section) {
    if (!Remote.possible) return section.append(figure("selection", { title: "Which units are on just here?", words: [], body: missing(Content.net.refusal) }));
    const finder = new UnitFinder();
    section.append(
      figure("selection", {
        title: "Which units are on just here?",
        words:
          "Select a stretch of text: drag over it, or hold shift and use the arrow keys. The list shows the units whose value there differs most " +
          "from their value elsewhere. Choose one to see where else it does the same, and which answers go with it.",
        body: [finder.controls, el("div", { class: "side-frame" }, finder.view.element, el("div", {}, finder.list)), finder.elsewhere],
        notes: [
          "Contrast: the unit’s mean over the selection minus its mean elsewhere, in standard deviations elsewhere. With hundreds of units, some stand out over any short stretch: see whether the places elsewhere make sense.",
          Facts.live,
        ],
      })
    );
    requestAnimationFrame(() => finder.open(0));
  },
});

class UnitFinder {
  constructor() {
    this.state = { text: 0, chosen: 0 };
    this.turn = turns();
    this.controls = el("div", { class: "controls" });
    this.list = el("div", { class: "unit-list", id: "unit-list", "aria-live": "polite" });
    this.elsewhere = el("div", { class: "elsewhere", id: "elsewhere" });
    this.view = new TextView({ label: "Held-out text; select a stretch of it", bands: [{ height: 6 }], onselect: settled((from, to) => this.find(from, to), 150) });
    Theme.onchange(() => this.units && this.tellUnits());
    const read = new Set();
    Remote.onread(({ text }) => {
      read.add(text);
      // The more has been read, the better is "elsewhere" known; a unit that a person has chosen stays chosen.
      if (read.size === Content.texts.length && this.span && !this.touched) this.find(...this.span);
    });
  }

  open(text) {
    this.state.text = text;
    this.controls.replaceChildren(textPicker(text, (next) => this.open(next)));
    const { symbols } = Content.texts[text];
    const at = firstPlace(text);
    this.view.show(symbols, at);
    const comment = codesOf(text, "in a comment").indexOf(1);
    const from = comment >= 0 ? comment : Math.max(0, at - 3);
    this.view.select(from, Math.min(from + 12, symbols.length));
    this.find(...this.view.selection);
  }

  async find(from, to) {
    const mine = this.turn();
    this.list.replaceChildren(el("p", { class: "hint" }, "The network is reading…"));
    const { units, read } = await Remote.ask("units", { text: this.state.text, from, to, count: 10 });
    if (!mine()) return;
    this.units = units;
    this.read = read;
    this.span = [from, to];
    this.state.chosen = 0;
    this.tellUnits();
    this.choose(0);
  }

  tellUnits() {
    const most = Math.max(...this.units.map((one) => Math.abs(one.contrast)));
    const chosenText = Symbols.decode(Content.texts[this.state.text].symbols.slice(...this.span)).replaceAll("\n", "↵");
    const items = this.units.map((one, index) =>
      el("li", {}, el("button", { type: "button", "aria-pressed": index === this.state.chosen, onclick: () => { this.touched = true; this.choose(index); } },
        el("span", { class: "name" }, `layer ${one.layer + 1}, unit ${one.unit}`),
        el("span", { class: "bar" }, el("i", { style: { width: `${(100 * Math.abs(one.contrast)) / most}%`, background: Palette.signed(one.contrast < 0 ? -0.8 : 0.8) } })),
        el("span", { class: "p" }, Say.signed(one.contrast, 1))))
    );
    this.list.replaceChildren(
      el("h3", {}, "On just there"),
      el("p", { class: "hint" }, `“${chosenText.length > 40 ? `${chosenText.slice(0, 40)}…` : chosenText}”, ${Say.many(this.span[1] - this.span[0], "character")}, against the ${Say.count(this.read)} that have been read`),
      el("ol", {}, items)
    );
  }

  /** Colours the text by the chosen unit, and tells where it is on as it is in the selection. */
  async choose(index) {
    const mine = this.turn();
    this.state.chosen = index;
    this.list.querySelectorAll("button").forEach((button, k) => button.setAttribute("aria-pressed", k === index));
    const unit = this.units[index];
    const everywhere = await Remote.ask("everywhere", { layer: unit.layer, unit: unit.unit });
    if (!mine()) return;
    const sign = Math.sign(unit.contrast), threshold = (unit.there + unit.elsewhere) / 2;
    const on = everywhere.map((values) => values && Array.from(values, (value) => sign * (value - threshold) > 0));
    const own = everywhere[this.state.text];
    const reach = own.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9);
    this.view.paint((_, i) => Palette.signed(own[i] / reach));
    this.view.highlight((i) => (on[this.state.text][i] ? "on" : ""));
    this.tellElsewhere(unit, on, everywhere, sign);
  }

  tellElsewhere(unit, on, everywhere, sign) {
    const [from, to] = this.span;
    const outside = (text, i) => text !== this.state.text || i < from || i >= to;
    const total = on.reduce((sum, one) => sum + (one ? one.length : 0), 0) - (to - from);
    const count = on.reduce((sum, one, text) => sum + (one ? one.filter((is, i) => is && outside(text, i)).length : 0), 0);
    this.elsewhere.replaceChildren(
      el("div", {}, el("h3", {}, `Where else layer ${unit.layer + 1}, unit ${unit.unit} does so`),
        el("p", { class: "hint" }, `${Say.percent(count / total)} of ${Say.count(total)} other characters, on its side of ${Say.number((unit.there + unit.elsewhere) / 2)}`),
        el("ul", { class: "concordance" }, this.places(on, everywhere, sign, outside))),
      el("div", {}, el("h3", {}, "Answers that go with it"), this.answers(on, outside, count, total))
    );
  }

  /** The strongest runs of characters, each with what stands around it. */
  places(on, everywhere, sign, outside) {
    const runs = [];
    on.forEach((is, text) => {
      if (!is) return;
      for (let i = 0; i < is.length; i++) {
        if (!is[i] || !outside(text, i)) continue;
        const from = i;
        let strength = 0;
        while (i < is.length && is[i] && outside(text, i)) strength = Math.max(strength, sign * everywhere[text][i++]);
        runs.push({ text, from, to: i, strength });
      }
    });
    runs.sort((a, b) => b.strength - a.strength);
    const seen = new Map();
    const several = runs.filter(({ text }) => (seen.set(text, (seen.get(text) ?? 0) + 1), seen.get(text) <= 3));
    const around = ({ text, from, to }) => {
      const { symbols, name } = Content.texts[text];
      const part = (a, b) => Symbols.decode(symbols.slice(Math.max(a, 0), b)).replaceAll("\n", "↵");
      const cut = Math.min(to, from + 30);
      return el("li", {}, el("code", {}, part(from - 18, from), el("mark", {}, part(from, cut)), to > cut ? "…" : part(to, to + 18)), el("span", {}, name));
    };
    return several.length ? several.slice(0, 10).map(around) : el("li", {}, "Nowhere else in what has been read.");
  }

  /** Classes that are more frequent where the unit is on than where it is not, the clearest first. */
  answers(on, outside, count, total) {
    const found = [];
    for (const label of Content.labels) {
      const tallies = label.classes.map(() => [0, 0]);
      const all = [0, 0];
      on.forEach((is, text) => is && codesOf(text, label.name).forEach((code, i) => {
        if (code < 0 || !outside(text, i)) return;
        tallies[code][is[i] ? 1 : 0]++;
        all[is[i] ? 1 : 0]++;
      }));
      tallies.forEach(([off, there], code) => {
        if (there < 5 || !all[0] || !all[1]) return;
        found.push({ label: label.name, name: label.classes[code], there: there / all[1], off: off / all[0] });
      });
    }
    found.sort((a, b) => b.there - b.off - (a.there - a.off));
    if (!count || !found.length) return el("p", { class: "hint" }, "Too few places to say.");
    return el("table", { class: "plain wraps" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "answer"), el("th", { scope: "col", class: "number" }, "where it is on"), el("th", { scope: "col", class: "number" }, "elsewhere"))),
      el("tbody", {}, found.slice(0, 6).map((one) => el("tr", {}, el("th", { scope: "row" }, `${one.label}: ${one.name}`), el("td", { class: "number" }, Say.percent(one.there)), el("td", { class: "number quiet" }, Say.percent(one.off))))));
  }
}
