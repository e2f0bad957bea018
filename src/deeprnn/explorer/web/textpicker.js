// Which of the held-out texts is looked at.

/** A labelled <select> of the texts. */
function textPicker(value, onchange) {
  return choice("Held-out text", Content.texts.map((text, index) => [index, text.name]), value, (chosen) => onchange(Number(chosen)));
}

/** Classes of a label on a text: index by character, -1 where it says nothing. */
function codesOf(text, label) {
  const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  return Array.from(Content.texts[text].codes[label] ?? "", (digit) => digits.indexOf(digit));
}

/** The place in a text that a view begins with: the middle of its first long word. */
function firstPlace(text) {
  const symbols = Content.texts[text].symbols;
  const found = Symbols.decode(symbols).search(/\b[a-z_]{7}/);
  return found > 0 && found + 3 < symbols.length ? found + 3 : Math.min(20, symbols.length - 1);
}
