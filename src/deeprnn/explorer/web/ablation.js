// What the network loses when a layer's contribution, or its memory, is taken away.

Views.push({
  name: "ablation",
  tab: "Take a layer away",
  build(section) {
    const rows = Content.measured.ablation;
    const passes = rows.filter((row) => row.change !== "reset"), resets = rows.filter((row) => row.change === "reset");
    section.append(
      figure("ablation", {
        title: "What does the network lose without a layer?",
        words:
          "Each bar is the number of bits a character that prediction gets worse by when one layer passes nothing upward (zero), or always its own mean. " +
          "The curves take the layer’s memory instead: its state is reset every few characters, so that it sees no further back than that. " +
          "A probe shows what a layer knows; this shows what the network uses.",
        body: [
          el("h3", {}, "Its contribution taken away"),
          Plot.plot(Ablation.words(passes), () => Ablation.bars(passes), { height: 90 + 58 * Facts.layers }),
          el("h3", {}, "Its memory cut short"),
          Plot.plot(Ablation.words(resets), () => Ablation.curves(resets), { height: 340 }),
        ],
        notes: [
          `Bits a character lost over n = ${Facts.count("ablation")} characters, the first ${Say.count(Content.measured.summary.effort.ablated)} of each of ${Say.many(Content.measured.summary.files, "held-out file")}; lines are 95 % intervals, paired, over files. One network, one seed. ` +
            `As it is, it needs ${Content.measured.summary.bits_per_character.toFixed(3)} bits.`,
        ],
      })
    );
  },
});

const Ablation = {
  figure: (rows, layer, change, every = null) =>
    rows.find((row) => row.layer === layer + 1 && row.change === change && row.every === every)?.figure ?? [null, null, null],

  words: (rows) =>
    `Bits a character lost: ${rows.map((row) => `layer ${row.layer} ${row.change}${row.every === null ? "" : ` every ${row.every}`} ${Say.number(row.figure[0])}`).join(", ")}`,

  bars(rows) {
    const changes = [...new Set(rows.map((row) => row.change))];
    const layers = Content.net.layers.map((_, layer) => layer);
    const looks = { zero: ["passes zero", "--ink"], mean: ["passes its mean", "--muted"] };
    const data = changes.map((change) => {
      const figures = layers.map((layer) => Ablation.figure(rows, layer, change));
      return {
        type: "bar",
        orientation: "h",
        name: looks[change]?.[0] ?? change,
        y: layers.map((layer) => `layer ${layer + 1}`),
        x: figures.map((one) => one[0]),
        marker: { color: Theme.colour(looks[change]?.[1] ?? "--accent") },
        error_x: { type: "data", symmetric: false, array: figures.map((one) => one[2] - one[0]), arrayminus: figures.map((one) => one[0] - one[1]), color: Theme.colour("--accent"), thickness: 1.5, width: 4 },
        hovertemplate: `%{y}, ${change}: %{x:.3f} bits lost<extra></extra>`,
      };
    });
    return {
      data,
      layout: {
        barmode: "group",
        bargap: 0.3,
        showlegend: true,
        legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, traceorder: "normal", itemclick: false, itemdoubleclick: false },
        xaxis: { title: "bits a character lost", rangemode: "tozero" },
        yaxis: { showgrid: false, ticks: "" },
      },
    };
  },

  curves(rows) {
    const every = [...new Set(rows.map((row) => row.every))];
    const layers = Content.net.layers.map((_, layer) => layer);
    const at = layers.map((layer) => every.map((steps) => Ablation.figure(rows, layer, "reset", steps)));
    const data = layers.map((layer) => ({
      x: every,
      y: at[layer].map((one) => one[0]),
      mode: "lines+markers",
      line: { color: Palette.layer(layer, layers.length), width: 2.5 },
      marker: { size: 7, symbol: ["circle", "square", "diamond", "triangle-up", "x"][layer % 5] },
      error_y: { type: "data", symmetric: false, array: at[layer].map((one) => one[2] - one[0]), arrayminus: at[layer].map((one) => one[0] - one[1]), thickness: 1.2, width: 3 },
      hovertemplate: `layer ${layer + 1}, every %{x} characters: %{y:.3f} bits lost<extra></extra>`,
      name: `layer ${layer + 1}`,
    }));
    return {
      data,
      layout: {
        xaxis: { type: "log", tickvals: every, ticktext: every.map(String), title: "characters between two resets of its state" },
        yaxis: { title: "bits a character lost", rangemode: "tozero" },
        showlegend: true,
        legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, itemclick: false, itemdoubleclick: false },
      },
    };
  },
};
