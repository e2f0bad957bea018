// Colours that people with any colour vision can tell apart, for a light and for a dark page.

const Palette = (() => {
  const parse = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const blend = (a, b, share) => a.map((value, k) => Math.round(value + (b[k] - value) * share));
  const css = (colour) => `rgb(${colour.join(",")})`;
  const along = (stops, share) => {
    const place = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
    const first = Math.min(Math.floor(place), stops.length - 2);
    return blend(parse(stops[first]), parse(stops[first + 1]), place - first);
  };
  const of = (light, dark) => (Theme.dark() ? dark : light);

  // Okabe & Ito 2008, without yellow on white and black on black.
  const CLASSES = [
    ["#0072b2", "#4ba3e3"],
    ["#e69f00", "#e6a817"],
    ["#009e73", "#2cc295"],
    ["#cc79a7", "#e08fbd"],
    ["#d55e00", "#f07d2e"],
    ["#56b4e9", "#9ad4f7"],
    ["#8c6bb1", "#b79be0"],
    ["#7f7f7f", "#a8a8a8"],
    ["#5a4a00", "#d9c76a"],
    ["#1b4965", "#7fb7d6"],
  ];

  return {
    /** Layer 1 of L lightest, layer L darkest (on a dark page the other way round): the order shows without hue. */
    layer: (index, layers) =>
      css(along(of(["#e39a2d", "#cf4f63", "#4a2a80"], ["#a184f0", "#ef7f93", "#f7cf7a"]), layers < 2 ? 1 : index / (layers - 1))),
    /** 0 to 1, from the page's own colour to blue. */
    amount: (share) => css(along(of(["#f4f2ec", "#a9c8e4", "#2f75b5", "#08396b"], ["#23262c", "#28527d", "#4b93d1", "#c5e2fb"]), share)),
    /** -1 to 1: orange above 0, blue below, the page's colour at 0. */
    signed: (value) =>
      css(
        value < 0
          ? along(of(["#f4f2ec", "#8fb4d9", "#1f5b99"], ["#23262c", "#35659a", "#86bdf5"]), -value)
          : along(of(["#f4f2ec", "#eba766", "#a8480a"], ["#23262c", "#a0581f", "#ffb877"]), value)
      ),
    /** The same as [r, g, b], for pixels. */
    signedPixel: (value) =>
      value < 0
        ? along(of(["#f4f2ec", "#8fb4d9", "#1f5b99"], ["#23262c", "#35659a", "#86bdf5"]), -value)
        : along(of(["#f4f2ec", "#eba766", "#a8480a"], ["#23262c", "#a0581f", "#ffb877"]), value),
    /** One of a label's classes; faint where `share` is low. */
    kind: (index, share = 1) => {
      const pair = CLASSES[index % CLASSES.length].map(parse);
      const page = parse(of("#f4f2ec", "#23262c"));
      const whole = of(pair[0], pair[1]);
      const tint = index >= CLASSES.length ? blend(whole, page, 0.45) : whole;
      return css(blend(page, tint, 0.12 + 0.88 * share));
    },
  };
})();
