// One character is changed, and the difference dies out, layer by layer: live, beside what was measured over many places.

Views.push({
  name: "ripples",
  tab: "Ripples",
  build(section) {
    const ripples = new Ripples();
    section.append(
      figure("ripples", {
        title: "Change one character, and see how long each layer remembers",
        words:
          "The network reads the text twice, the second time with one character replaced. The strips show how far each layer’s state is then " +
          "from what it was: 1 is as far apart as two unrelated texts, 0 is forgotten. The curves set this place beside the mean over many places, " +
          "and beside untrained networks, in which depth alone already delays the ripple.",
        body: [
          Remote.possible ? [ripples.controls, ramp(Palette.amount, 0, 1, ["forgotten 0", "1 as unrelated texts"]), ripples.view.element, ripples.status] : missing(Content.net.refusal),
          ripples.plot,
          ripples.table(),
        ],
        notes: [
          `Measured curves: mean over n = ${Facts.count("ripples")} places in ${Say.many(Content.measured.summary.files, "held-out file")}. Grey band: ${Say.many(Content.measured.ripples.untrained.length, "untrained network")}, one seed each.`,
          Facts.live,
        ],
      })
    );
    if (Remote.possible) requestAnimationFrame(() => ripples.open(0));
  },
});

class Ripples {
  constructor() {
    this.state = { text: 0, symbol: null, scale: "linear" };
    this.curves = null;
    this.turn = turns();
    this.controls = el("div", { class: "controls" });
    this.status = el("p", { class: "hint", role: "status", id: "ripple-status" }, "The network is reading…");
    const bands = Array(Facts.layers).fill({ height: 6 });
    this.view = new TextView({ short: true, label: "Held-out text; the character under the cursor is replaced", bands, oncursor: settled(() => this.drop(), 60) });
    this.steps = Math.max(20, (Content.measured.ripples.trained[0]?.length ?? 150) - 1);
    this.plot = Plot.plot(this.words(), (width) => this.figure(width), { height: 330 });
    this.setControls();
  }

  setControls() {
    const input = el("input", { type: "text", id: "replacement", size: 4, maxlength: 2, value: this.state.symbol === null ? "" : Symbols.decode([this.state.symbol]), "aria-label": "The character put in its place" });
    input.addEventListener("input", () => {
      const typed = Symbols.encode(input.value);
      if (!typed.length) return;
      this.state.symbol = typed.at(-1);
      input.value = Symbols.decode([this.state.symbol]);
      input.select();
      this.drop();
    });
    input.addEventListener("focus", () => input.select());
    this.input = input;
    this.controls.replaceChildren(
      textPicker(this.state.text, (text) => this.open(text)),
      el("label", { class: "control" }, el("span", {}, "Put in its place"), input),
      toggle("Distance axis", [["linear", "linear"], ["log", "logarithmic"]], this.state.scale, (scale) => { this.state.scale = scale; this.plot.redraw(); })
    );
  }

  open(text) {
    this.state.text = text;
    this.view.show(Content.texts[text].symbols, firstPlace(text));
    this.drop();
  }

  /** The replacement: the one that was typed, or, where that is what stands there already, another letter. */
  replacement(own) {
    const typed = this.state.symbol;
    if (typed !== null && typed !== own) return typed;
    const found = Symbols.encode("x(").find((symbol) => symbol !== own);
    return found ?? (own + 1) % Symbols.size;
  }

  async drop() {
    const mine = this.turn();
    const at = this.view.cursor;
    const own = Content.texts[this.state.text].symbols[at];
    const symbol = this.replacement(own);
    if (this.state.symbol === null) this.input.value = Symbols.decode([symbol]);
    this.status.textContent = "The network is reading…";
    const curves = await Remote.ask("ripple", { text: this.state.text, at, symbol, steps: this.steps });
    if (!mine()) return;
    this.curves = curves;
    this.at = at;
    const layers = Facts.layers;
    this.view.paint((band, i) => {
      const value = curves[layers - 1 - band][i - at];
      return value === undefined ? null : Palette.amount(Math.min(value, 1));
    });
    this.view.highlight((i) => (i === at ? "changed" : ""));
    const halves = curves.map((curve, layer) => `${Facts.layer(layer)}: ${Ripples.half(curve) ?? `more than ${curve.length - 1}`}`);
    this.status.textContent = `“${Symbols.name(own)}” became “${Symbols.name(symbol)}”. Characters until below half its peak: ${halves.join(", ")}.`;
    this.plot.redraw();
  }

  /** Steps until a curve first falls below half its peak, after it. */
  static half(curve) {
    const peak = curve.indexOf(Math.max(...curve));
    const found = curve.findIndex((value, step) => step >= peak && value < curve[peak] / 2);
    return found < 0 ? null : found;
  }

  words() {
    const half = Content.measured.ripples.decay.half;
    return `Ripples by layer. Mean characters to half: ${half.trained.map((one, layer) => `layer ${layer + 1} ${Say.number(one?.[0] ?? null, 0)}`).join(", ")}`;
  }

  /** A panel a layer: the untrained band, the measured mean, this place. */
  figure(width) {
    const { trained, untrained } = Content.measured.ripples;
    const layers = Facts.layers;
    const columns = width < 620 ? 1 : Math.min(layers, 4);
    const rows = Math.ceil(layers / columns);
    const log = this.state.scale === "log";
    const data = [], annotations = [], layout = {};
    for (let layer = 0; layer < layers; layer++) {
      const suffix = layer ? layer + 1 : "";
      const column = layer % columns, row = Math.floor(layer / columns);
      const gap = 0.05, high = 1 / rows;
      const domainX = [column / columns + (column ? gap / 2 : 0), (column + 1) / columns - (column < columns - 1 ? gap / 2 : 0)];
      const domainY = [1 - (row + 1) * high + (row < rows - 1 ? 0.14 / rows : 0.02), 1 - row * high - 0.09 / rows];
      const axes = { xaxis: `x${suffix}`, yaxis: `y${suffix}` };
      const at = (curve) => curve.map((_, step) => step);
      const bare = untrained.map((seed) => seed[layer]);
      if (bare.length) {
        const low = bare[0].map((_, step) => Math.max(Math.min(...bare.map((one) => one[step])), 1e-5)), top = bare[0].map((_, step) => Math.max(...bare.map((one) => one[step])));
        const quiet = { ...axes, mode: "lines", hoverinfo: "skip", line: { width: 0.75, color: Theme.colour("--muted") } };
        data.push({ ...quiet, x: at(low), y: low }, { ...quiet, x: at(top), y: top, fill: "tonexty", fillcolor: Theme.dark() ? "rgba(165,162,154,.28)" : "rgba(100,97,91,.2)" });
      }
      const mean = trained[layer];
      if (mean) data.push({ ...axes, x: at(mean), y: mean, mode: "lines", line: { color: Theme.colour("--ink"), width: 2, dash: "dot" }, hovertemplate: "mean over places, %{x} characters on: %{y:.2f}<extra></extra>" });
      const own = this.curves?.[layer];
      if (own) data.push({ ...axes, x: at(own), y: own.map((value) => Math.max(value, 1e-5)), mode: "lines", line: { color: Palette.layer(layer, layers), width: 2.5 }, hovertemplate: "here, %{x} characters on: %{y:.2f}<extra></extra>" });
      const last = row === rows - 1 || layer + columns >= layers;
      layout[`xaxis${suffix}`] = { domain: domainX, anchor: `y${suffix}`, range: [0, Math.min(this.steps, 80)], title: last && (columns === 1 || column === 0) ? "characters since the change" : "" };
      layout[`yaxis${suffix}`] = {
        domain: domainY, anchor: `x${suffix}`, type: log ? "log" : "linear", range: log ? [-3, 0.2] : [0, this.highest()], showticklabels: column === 0,
        ...(log ? { tickvals: [0.001, 0.01, 0.1, 1], ticktext: ["0.001", "0.01", "0.1", "1"] } : {}),
      };
      annotations.push({ xref: "paper", yref: "paper", x: domainX[0], y: domainY[1], xanchor: "left", yanchor: "bottom", showarrow: false, text: `<b>layer ${layer + 1}</b>`, font: { color: Palette.layer(layer, layers), size: 14 } });
    }
    return { data, layout: { ...layout, annotations, margin: { l: 8, r: 8, t: 24, b: 8 }, height: 60 + 240 * rows, hovermode: "x" } };
  }

  highest() {
    const all = [...(this.curves ?? []), ...Content.measured.ripples.trained].flat();
    return Math.max(1, ...all) * 1.05;
  }

  table() {
    const { decay } = Content.measured.ripples;
    const range = (seeds, layer) => {
      const values = seeds.map((seed) => seed[layer]?.[0]).filter((value) => value !== null && value !== undefined);
      if (!values.length) return "–";
      const [low, high] = [Math.min(...values), Math.max(...values)];
      return low === high ? Say.number(low, 0) : `${Say.number(low, 0)}–${Say.number(high, 0)}`;
    };
    const cell = (figure, digits = 0) => (figure?.[0] == null ? el("td", { class: "number" }, "> end") : el("td", { class: "number", title: `${Say.number(figure[1], 1)} to ${Say.number(figure[2], 1)}` }, Say.number(figure[0], digits)));
    const rows = Content.net.layers.map((_, layer) =>
      el("tr", {}, el("th", { scope: "row" }, `layer ${layer + 1}`),
        cell(decay.half.trained[layer]), el("td", { class: "number quiet" }, range(decay.half.untrained, layer)),
        cell(decay.one_percent.trained[layer]), el("td", { class: "number quiet" }, range(decay.one_percent.untrained, layer)))
    );
    return el(
      "div",
      { class: "scroll" },
      el("ul", { class: "legend" }, el("li", {}, el("i", { class: "line-mark solid" }), "at this place"), el("li", {}, el("i", { class: "line-mark dotted" }), "mean over many places"), el("li", {}, el("i", { class: "band-mark" }), "untrained networks")),
      el("table", { class: "plain", id: "ripple-table" },
        el("caption", {}, "Mean ripple, in characters"),
        el("thead", {}, el("tr", {}, el("th", {}, ""), ["to half its peak", "untrained", "to 1 % for good", "untrained"].map((words) => el("th", { scope: "col", class: "number" }, words)))),
        el("tbody", {}, rows))
    );
  }
}
