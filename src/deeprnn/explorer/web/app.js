// The page put together: its head, its tabs, and each view built when it is first seen.

const App = (() => {
  const summary = Content.measured.summary;
  const built = new Set();

  /** Neighbours that are equal, counted: [[words, how many]]. */
  function runs(words) {
    const found = [];
    for (const one of words) found.at(-1)?.[0] === one ? found.at(-1)[1]++ : found.push([one, 1]);
    return found;
  }

  function masthead() {
    const network = Say.list(runs(Content.net.layers.map((layer) => layer.words)).map(([words, count]) => (count > 1 ? `${count} × ${words}` : words)));
    document.getElementById("masthead").append(
      el("div", {}, el("p", { class: "kicker" }, "deeprnn explore"), el("h1", {}, "What does each layer of ", el("em", {}, Content.title), " know?")),
      el(
        "p",
        { class: "deck" },
        `${Say.many(Facts.layers, "layer")}${Facts.layers > 1 ? " from bottom to top" : ""}: ${network}. ${Say.count(summary.parameters)} parameters. ${quality()}`
      ),
      Theme.button()
    );
  }

  /** How well the net predicts held-out text, and on how much of it that was measured. */
  function quality() {
    const { evaluation } = Content;
    if (evaluation) return `${evaluation.bits_per_character.toFixed(3)} bits a character on ${Say.count(evaluation.characters)} characters of held-out text.`;
    return `${summary.bits_per_character.toFixed(3)} bits a character on the first ${Say.count(summary.effort.ablated)} characters of each held-out file.`;
  }

  function footer() {
    const notices = Content.notices.map((notice) => el("li", {}, notice));
    document.getElementById("footer").append(
      notices.length ? el("details", {}, el("summary", {}, Say.many(notices.length, "note"), " on the data"), el("ul", {}, notices)) : "",
      el("p", {}, "One file, no network: the figures come from ", el("code", {}, `${Content.run}/analysis.json`), ", the network runs in this page.")
    );
  }

  function show(name, focus = false) {
    for (const view of Views) {
      const chosen = view.name === name;
      const tab = document.getElementById(`tab-${view.name}`);
      const section = document.getElementById(`view-${view.name}`);
      tab.setAttribute("aria-selected", chosen);
      tab.tabIndex = chosen ? 0 : -1;
      section.hidden = !chosen;
      if (!chosen) continue;
      if (!built.has(name)) {
        built.add(name);
        view.build(section);
      }
      tab.scrollIntoView({ block: "nearest", inline: "nearest" });
      if (focus) tab.focus();
    }
    history.replaceState(null, "", `#${name}`);
  }

  function tabs() {
    const list = document.getElementById("tabs");
    for (const view of Views) {
      list.append(el("button", { type: "button", role: "tab", id: `tab-${view.name}`, "aria-controls": `view-${view.name}`, onclick: () => show(view.name) }, view.tab));
      document.getElementById("views").append(el("section", { role: "tabpanel", id: `view-${view.name}`, "aria-labelledby": `tab-${view.name}`, hidden: true }));
    }
    list.addEventListener("keydown", (event) => {
      const names = Views.map((view) => view.name);
      const at = names.indexOf(event.target.id.replace("tab-", ""));
      const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: names.length - 1 }[event.key];
      if (next === undefined || at < 0) return;
      event.preventDefault();
      show(names[(next + names.length) % names.length], true);
    });
  }

  masthead();
  footer();
  tabs();
  const asked = location.hash.slice(1);
  show(Views.some((view) => view.name === asked) ? asked : Views[0].name);
  addEventListener("hashchange", () => Views.some((view) => view.name === location.hash.slice(1)) && show(location.hash.slice(1)));
  if (Remote.possible) addEventListener("load", () => setTimeout(Remote.start, 50));
  return { show };
})();
