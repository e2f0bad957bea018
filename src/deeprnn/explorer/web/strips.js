// A layer's hidden states as a strip: time from left to right, units from top to bottom, colour for the value.

const Strips = (() => {
  const ROWS = 96;

  /** For each layer, the units that are drawn, fast ones on top: at most ROWS of them, evenly along that order. */
  const rows = Content.net.layers.map(({ units }, layer) => {
    const times = Content.measured.scales[layer].autocorrelation_time;
    const slowness = (unit) => times[unit] ?? Infinity;
    const order = [...Array(units).keys()].sort((a, b) => slowness(a) - slowness(b) || a - b);
    const count = Math.min(ROWS, units);
    return Array.from({ length: count }, (_, row) => order[Math.floor((row * units) / count)]);
  });

  /** The size of a layer's states that gets the full colour. */
  const reach = (block) => Math.max(1, block.reduce((most, value) => Math.max(most, Math.abs(value)), 0) > 1.001 ? spread(block) : 1);
  const spread = (block) => 2.5 * Math.sqrt(block.reduce((sum, value) => sum + value * value, 0) / block.length);

  function draw(canvas, block, units, columns) {
    canvas.width = Math.max(columns, 1);
    canvas.height = units;
    const image = new ImageData(canvas.width, canvas.height);
    const scale = reach(block);
    const table = Array.from({ length: 201 }, (_, k) => Palette.signedPixel((k - 100) / 100));
    for (let column = 0; column < columns; column++) {
      for (let row = 0; row < units; row++) {
        const value = Math.min(Math.max(block[column * units + row] / scale, -1), 1);
        image.data.set([...table[Math.round(100 * value) + 100], 255], 4 * (row * canvas.width + column));
      }
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  return { rows, draw, isSampled: Content.net.layers.some(({ units }) => units > ROWS) };
})();
