// Elements built in one expression, and numbers as a reader wants them.

/** An element: el("p", { class: "note", onclick: f }, "text", child, [more]). null and false are left out. */
function el(tag, attributes = {}, ...children) {
  const element = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style" && typeof value === "object") Object.entries(value).forEach(([k, v]) => element.style.setProperty(k, v));
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const Say = {
  /** An accuracy as the printed table has it: .874; 1 stays 1.00. */
  share: (value) => (value === null ? "–" : value >= 0.9995 ? "1.00" : value.toFixed(3).replace(/^0/, "")),
  /** A probability in per cent. */
  percent: (value) => (value > 0.995 ? ">99 %" : value < 0.005 ? "<1 %" : `${Math.round(100 * value)} %`),
  number: (value, digits = 2) => (value === null || !Number.isFinite(value) ? "–" : value.toFixed(digits).replace("-", "−")),
  signed: (value, digits = 2) => (value === null ? "–" : (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits)),
  count: (value) => Math.round(value).toLocaleString("en").replaceAll(",", "\u202f"),
  steps: (value) => (value === null || value === undefined ? "beyond the end" : `${Say.number(value, value < 10 && value % 1 ? 1 : 0)} characters`),
  many: (count, one, more = `${one}s`) => `${Say.count(count)} ${count === 1 ? one : more}`,
  list: (words) => (words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`),
};

/** A labelled <select>. `options` are [value, words] or {group, options}. */
function choice(label, options, value, onchange) {
  const option = ([key, words]) => el("option", { value: key, selected: String(key) === String(value) }, words);
  const list = options.map((one) => (Array.isArray(one) ? option(one) : el("optgroup", { label: one.group }, one.options.map(option))));
  const select = el("select", { onchange: () => onchange(select.value) }, list);
  return el("label", { class: "control" }, el("span", {}, label), select);
}

/** Radio buttons that look like one switch. */
function toggle(label, options, value, onchange) {
  const name = `toggle-${(toggle.count = (toggle.count ?? 0) + 1)}`;
  return el(
    "fieldset",
    { class: "toggle" },
    el("legend", {}, label),
    options.map(([key, words]) =>
      el("label", {}, el("input", { type: "radio", name, value: key, checked: key === value, onchange: () => onchange(key) }), el("span", {}, words))
    )
  );
}

/** Runs `f` once the calls have ceased for `wait` milliseconds. */
function settled(f, wait = 120) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => f(...args), wait);
  };
}
