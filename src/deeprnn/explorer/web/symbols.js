// Typed text as the net's symbols, and symbols as they are shown.

const Symbols = (() => {
  const { kind, characters, size } = Content.net.vocabulary;
  const known = Array.from(characters);
  const number = new Map(known.map((character, index) => [character, index + 2]));
  const BOUNDARY = 0;

  function meaning(symbol) {
    if (symbol === BOUNDARY) return null;
    if (kind === "bytes") return symbol < 129 ? String.fromCharCode(symbol - 1) : null;
    return symbol === 1 ? null : known[symbol - 2];
  }

  const VISIBLE = { "\n": "↵", "\t": "→", "\r": "␍", " ": "\u00a0" };

  return {
    BOUNDARY,
    size,
    encode: (text) =>
      kind === "bytes" ? Array.from(new TextEncoder().encode(text), (byte) => byte + 1) : Array.from(text, (c) => number.get(c) ?? 1),
    /** The text that symbols stand for, in a string. */
    decode(symbols) {
      if (kind === "bytes") return new TextDecoder().decode(Uint8Array.from(symbols.filter((s) => s > 0), (s) => s - 1));
      return symbols.map((s) => meaning(s) ?? "\ufffd").join("");
    },
    /** One symbol in a cell of its own, in a text. */
    glyph(symbol) {
      const text = meaning(symbol);
      if (text === null) return symbol === BOUNDARY ? "¶" : "\ufffd";
      return VISIBLE[text] ?? (text < " " ? "·" : text);
    },
    /** One symbol by name, alone in a list. */
    name(symbol) {
      const text = meaning(symbol);
      if (text === null) return symbol === BOUNDARY ? "end of text" : kind === "bytes" ? `byte ${symbol - 1}` : "unknown";
      return { "\n": "↵ line end", " ": "␣ space", "\t": "→ tab" }[text] ?? (text < " " ? `U+${text.charCodeAt(0).toString(16)}` : text);
    },
    isLineEnd: (symbol) => meaning(symbol) === "\n",
  };
})();
