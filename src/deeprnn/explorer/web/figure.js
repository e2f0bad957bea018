// The frame around every figure: what it is, how it reads, what it rests on, and the code behind it.

const Content = JSON.parse(document.getElementById("content").textContent);

const Facts = (() => {
  const summary = Content.measured.summary;
  return {
    layers: Content.net.layers.length,
    /** "layer 2" as everything that a person reads has it. */
    layer: (index) => `layer ${index + 1}`,
    /** What the figures of `deeprnn analyze` rest on. */
    measured: `n = ${Say.count(summary.characters)} characters of ${Say.many(summary.files, "held-out file")}; ${Say.many(summary.seeds, "seed")}`,
    /** How many places one of the longer measurements rests on, such as "ripples". */
    count: (part) => (summary[part] ? Say.count(summary[part].n) : "?"),
    fitted: `${Say.count(Content.fitted.characters)} characters of ${Say.many(Content.fitted.files, "held-out file")}, ${
      Content.fitted.apart ? "none of which is shown here" : "the very ones that are shown here, as there are so few"
    }`,
    live: "Computed in this page by the network itself, from its own weights; one network, no seeds.",
  };
})();

/** What a gate does, such as "forget", by the layers that have it; "" for one that multiplies nothing. */
function gateMeaning(gate) {
  return [...new Set(Content.net.layers.map((layer) => layer.gates[gate]).filter(Boolean))].join(", ");
}

/**
 * A view: its heading, a sentence or two, the figure, and what it rests on.
 * @param name of the view, which finds its code. @param parts {title, words, body, notes}
 */
function figure(name, { title, words, body, notes = [] }) {
  return el(
    "figure",
    { class: "figure", "aria-label": title },
    el("header", {}, el("h2", {}, title), el("div", { class: "words" }, [words].flat().map((text) => el("p", {}, text)))),
    el("div", { class: "body" }, body),
    el("figcaption", {}, [notes].flat().filter(Boolean).map((text) => el("p", {}, text)), how(name))
  );
}

function how(name) {
  const code = Content.how[name];
  if (!code) return null;
  const said = el("span", { role: "status", class: "copied" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(code);
      said.textContent = "copied";
    } catch {
      said.textContent = "select the code, and copy it";
    }
  };
  return el(
    "details",
    { class: "how" },
    el("summary", {}, "How: the Python that gives these numbers"),
    el("pre", { tabindex: 0 }, el("code", {}, code)),
    el("button", { type: "button", onclick: copy }, "Copy"),
    said
  );
}

/** What stands where a figure can't be. */
function missing(words) {
  return el("p", { class: "missing" }, words);
}

/** A legend of colours: [[colour, words]]. */
function legend(entries) {
  return el(
    "ul",
    { class: "legend" },
    entries.map(([colour, words]) => el("li", {}, el("i", { style: { background: colour } }), words))
  );
}

/** A legend for a range of colours. */
function ramp(colourOf, from, to, [low, high]) {
  const steps = Array.from({ length: 24 }, (_, k) => colourOf(from + ((to - from) * k) / 23));
  return el("div", { class: "ramp" }, el("span", {}, low), el("i", { style: { background: `linear-gradient(90deg, ${steps.join(",")})` } }), el("span", {}, high));
}
