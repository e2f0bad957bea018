// Light or dark: as the system says, until a person chooses; views are told when it changes.

const Theme = (() => {
  const listeners = [];
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try {
    chosen = localStorage.getItem("deeprnn-theme");
  } catch {
    // Some browsers give pages from disk no storage; the choice then lasts as long as the page.
  }
  const dark = () => (chosen ?? (system.matches ? "dark" : "light")) === "dark";
  const show = () => {
    document.documentElement.dataset.theme = dark() ? "dark" : "light";
    listeners.forEach((listener) => listener());
  };
  system.addEventListener("change", show);
  document.documentElement.dataset.theme = dark() ? "dark" : "light";

  return {
    dark,
    onchange: (listener) => listeners.push(listener),
    /** A colour of style.css by its name, as in "--ink". */
    colour: (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim(),
    button() {
      const words = () => (dark() ? "Light" : "Dark");
      const button = el("button", { type: "button", class: "theme", id: "theme" }, words());
      button.addEventListener("click", () => {
        chosen = dark() ? "light" : "dark";
        try {
          localStorage.setItem("deeprnn-theme", chosen);
        } catch {
          // As above.
        }
        show();
      });
      listeners.push(() => (button.textContent = words()));
      return button;
    },
  };
})();
