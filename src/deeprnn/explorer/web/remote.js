// The page's line to the net: Remote.ask("series", {...}) gives a promise.

const Remote = (() => {
  const waiting = new Map();
  const listeners = [];
  let next = 0;
  let port = null;
  let started = null;

  /** A worker made of the very scripts that the page holds; where there are no workers, the same within the page. */
  function open() {
    const source = document.getElementById("computing").textContent;
    try {
      const url = URL.createObjectURL(new Blob([source, "\nserve(self);"], { type: "text/javascript" }));
      return new Worker(url);
    } catch {
      const { port1, port2 } = new MessageChannel();
      serve(port2);
      return port1;
    }
  }

  function receive({ data }) {
    if (data.event) return listeners.forEach((listener) => listener(data));
    const { resolve, reject } = waiting.get(data.id);
    waiting.delete(data.id);
    data.error ? reject(new Error(data.error)) : resolve(data.answer);
  }

  const send = (ask, given) =>
    new Promise((resolve, reject) => {
      waiting.set(++next, { resolve, reject });
      port.postMessage({ id: next, ask, given });
    });

  /** Hands the weights over, once. Resolves to the names of the states and gates of each layer. */
  function start() {
    return (started ??= new Promise((resolve) => {
      const begin = () => {
        port = open();
        port.onmessage = receive;
        const element = document.getElementById("weights");
        const weights = element.textContent;
        element.textContent = "";
        const { config, index } = Content.net;
        resolve(send("load", { config, index, weights, shown: Content.texts.map((text) => text.symbols), unrelated: Content.fitted.unrelated }));
      };
      document.readyState === "loading" ? addEventListener("DOMContentLoaded", begin) : begin();
    }));
  }

  return {
    start,
    /** Whether the page can run this net. */
    possible: Content.net.refusal === null,
    async ask(name, given) {
      await start();
      return send(name, given);
    },
    onread: (listener) => listeners.push(listener),
  };
})();

/** Lets only the latest of several calls have an effect: `const mine = latest(); ...; if (!mine()) return;` */
function turns() {
  let last = 0;
  return () => {
    const mine = ++last;
    return () => mine === last;
  };
}
