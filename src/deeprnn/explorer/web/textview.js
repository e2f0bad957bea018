// A text in lines of single characters, strips of colour beneath each line, a cursor, and a selection; by mouse or keys.

class TextView {
  /**
   * @param label for those who don't see it. @param bands [{height}], from top to bottom beneath a line.
   * @param oncursor (index), onselect (from, to) when they change by a person's hand.
   */
  constructor({ label, bands = [], short = false, oncursor = () => {}, onselect = null }) {
    this.bands = bands;
    this.oncursor = oncursor;
    this.onselect = onselect;
    this.cursor = 0;
    this.anchor = 0;
    this.colourOf = () => null;
    const keys = onselect ? "Arrow keys move, with shift they select." : "Arrow keys move.";
    this.box = el("div", { class: short ? "text short" : "text", tabindex: 0, role: "application", "aria-label": `${label}. ${keys}` });
    this.element = el("div", { class: "text-frame" }, this.box);
    this.box.addEventListener("keydown", (event) => this.press(event));
    this.box.addEventListener("pointerdown", (event) => this.point(event, false));
    this.box.addEventListener("pointermove", (event) => event.buttons === 1 && this.onselect && this.point(event, true));
    new ResizeObserver(settled(() => this.symbols && this.box.clientWidth !== this.width && this.layOut(), 60)).observe(this.box);
    Theme.onchange(() => this.paint());
  }

  /** Shows symbols; the cursor goes to `cursor`. */
  show(symbols, cursor = 0) {
    this.symbols = symbols;
    this.cursor = this.anchor = Math.min(cursor, symbols.length - 1);
    this.selection = null;
    this.box.scrollTop = 0;
    this.layOut();
    this.reveal(this.cursor);
  }

  layOut() {
    this.width = this.box.clientWidth;
    if (!this.width) return;
    const cell = el("span", {}, "0");
    this.box.replaceChildren(cell);
    this.cell = cell.getBoundingClientRect().width;
    const room = Math.max(10, Math.floor((this.width - 26) / this.cell));
    this.lines = [];
    let from = 0;
    for (let i = 0; i < this.symbols.length; i++) {
      if (Symbols.isLineEnd(this.symbols[i]) || i - from + 1 === room || i === this.symbols.length - 1) {
        this.lines.push([from, i + 1]);
        from = i + 1;
      }
    }
    this.cells = [];
    this.canvases = [];
    const rows = this.lines.map(([from, to]) => {
      const letters = [];
      for (let i = from; i < to; i++) {
        const glyph = Symbols.glyph(this.symbols[i]);
        letters.push(el("span", { "data-i": i, class: glyph === "↵" || glyph === "→" ? "faint" : "" }, glyph));
      }
      this.cells.push(...letters);
      const canvas = el("canvas", { "aria-hidden": "true" });
      this.canvases.push(canvas);
      return el("div", { class: "line" }, el("div", { class: "letters" }, letters), this.bands.length ? canvas : null);
    });
    this.box.replaceChildren(...rows);
    this.paint();
    this.mark();
  }

  /** @param colourOf (band, i) a colour, or null for none. */
  paint(colourOf = this.colourOf) {
    this.colourOf = colourOf;
    if (!this.lines || !this.bands.length) return;
    const scale = Math.max(1, devicePixelRatio);
    const height = this.bands.reduce((sum, band) => sum + band.height + 1, 0);
    this.lines.forEach(([from, to], line) => {
      const canvas = this.canvases[line];
      canvas.width = Math.round((to - from) * this.cell * scale);
      canvas.height = Math.round(height * scale);
      canvas.style.width = `${(to - from) * this.cell}px`;
      canvas.style.height = `${height}px`;
      const context = canvas.getContext("2d");
      let y = 0;
      this.bands.forEach((band, index) => {
        for (let i = from; i < to; i++) {
          const colour = colourOf(index, i);
          if (!colour) continue;
          context.fillStyle = colour;
          const left = Math.round((i - from) * this.cell * scale);
          context.fillRect(left, Math.round(y * scale), Math.round((i - from + 1) * this.cell * scale) - left, Math.round(band.height * scale));
        }
        y += band.height + 1;
      });
    });
  }

  /** @param classOf (i) a class for the character's cell, or "". */
  highlight(classOf) {
    this.classOf = classOf;
    this.mark();
  }

  mark() {
    if (!this.cells) return;
    const [from, to] = this.selection ?? [-1, -1];
    this.cells.forEach((cell, i) => {
      cell.classList.toggle("cursor", i === this.cursor);
      cell.classList.toggle("selected", i >= from && i < to);
      for (const name of ["on", "changed"]) cell.classList.toggle(name, this.classOf?.(i) === name);
    });
  }

  place(cursor, extend) {
    this.cursor = Math.min(Math.max(cursor, 0), this.symbols.length - 1);
    if (!extend) this.anchor = this.cursor;
    if (this.onselect) this.selection = [Math.min(this.anchor, this.cursor), Math.max(this.anchor, this.cursor) + 1];
    this.mark();
    this.reveal(this.cursor);
    this.oncursor(this.cursor);
    if (this.onselect) this.onselect(...this.selection);
  }

  select(from, to) {
    this.anchor = from;
    this.cursor = to - 1;
    this.selection = [from, to];
    this.mark();
    this.reveal(from);
  }

  /** Scrolls the text, not the page, so far that a character can be seen. */
  reveal(i) {
    const line = this.cells[i]?.closest(".line");
    if (!line) return;
    const top = line.offsetTop, bottom = top + line.offsetHeight;
    if (top < this.box.scrollTop) this.box.scrollTop = top - 10;
    else if (bottom > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = bottom - this.box.clientHeight + 10;
  }

  point(event, extend) {
    const cell = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-i]");
    if (!cell || !this.box.contains(cell)) return;
    const i = Number(cell.dataset.i);
    if (extend && i === this.cursor) return;
    if (!extend) this.box.focus({ preventScroll: true });
    if (this.onselect) event.preventDefault();
    this.place(i, extend || (event.shiftKey && this.onselect));
  }

  press(event) {
    const line = this.lines.findIndex(([from, to]) => this.cursor >= from && this.cursor < to);
    const [from, to] = this.lines[line];
    const vertical = (other) => {
      const target = this.lines[other];
      return target ? Math.min(target[0] + this.cursor - from, target[1] - 1) : this.cursor;
    };
    const moves = {
      ArrowRight: () => this.cursor + 1,
      ArrowLeft: () => this.cursor - 1,
      ArrowDown: () => vertical(line + 1),
      ArrowUp: () => vertical(line - 1),
      Home: () => from,
      End: () => to - 1,
    };
    if (!moves[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.place(moves[event.key](), event.shiftKey && this.onselect !== null);
  }
}
