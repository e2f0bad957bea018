"use strict";
// What the page asks of the net, answered beside the page (in a worker) so that the page stays quick. The texts are
// read in slices, the one that was asked for last first.

function serve(port) {
  const BOUNDARY = 0;
  const SLICE = 24;
  let net = null;
  let tensors = {};
  let facts = {};
  let texts = [];
  const live = {};
  let wanted = 0;
  let asked = 0;

  const pause = () =>
    new Promise((resolve) => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => {
        channel.port1.close();
        resolve();
      };
      channel.port2.postMessage(null);
    });

  /**
   * The reading of a shown text, as far as its first `count` symbols at least. Symbol i of the text is step i + 1:
   * before it stands the boundary.
   */
  async function readTo(text, count = Infinity) {
    wanted = text;
    const one = texts[text];
    while (one.reading.length < Math.min(count + 1, one.symbols.length)) {
      advance(one);
      await pause();
    }
    return one.reading;
  }

  function advance(one) {
    const end = Math.min(one.symbols.length, one.reading.length + SLICE);
    for (let step = one.reading.length; step < end; step++) one.reading.push(one.symbols[step]);
    if (end === one.symbols.length) port.postMessage({ event: "read", text: texts.indexOf(one) });
  }

  const rest = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

  /** Reads all shown texts in the background, while nothing is asked. */
  async function readAll() {
    const unread = (one) => one.reading.length < one.symbols.length;
    for (;;) {
      while (asked) await rest(10);
      const next = unread(texts[wanted]) ? texts[wanted] : texts.find(unread);
      if (!next) return;
      advance(next);
      await pause();
    }
  }

  /** Probabilities of a linear classifier's columns, from one layer's state. */
  function classify(name, layer, state, first, count) {
    const weight = tensors[`${name}.${layer}.weight`], bias = tensors[`${name}.${layer}.bias`];
    const out = Engine.times(weight, state, new Float64Array(count), first);
    return Engine.logSoftmax(out.map((value, k) => value + bias[first + k])).map(Math.exp);
  }

  const hasHeads = () => Boolean(tensors["head.0.weight"]);

  /** At each layer that has a head, and last at the net's output: the probabilities of the next symbol. */
  function guesses(reading, step) {
    const hidden = reading.hidden(step);
    const heads = hasHeads() ? hidden.map((state, layer) => classify("head", layer, state, 0, net.config.output_size)) : [];
    return [...heads, Engine.logSoftmax(reading.logits(step)).map(Math.exp)];
  }

  function top(probabilities, count) {
    return [...probabilities.keys()]
      .sort((a, b) => probabilities[b] - probabilities[a])
      .slice(0, count)
      .map((symbol) => ({ symbol, p: probabilities[symbol] }));
  }

  const eachUnit = (f) => net.layers.forEach((layer, index) => { for (let unit = 0; unit < layer.units; unit++) f(index, unit); });

  const answers = {
    load({ config, index, weights, shown, unrelated }) {
      tensors = Engine.unpack(weights, index);
      net = new Engine.Net(config, tensors);
      facts = { unrelated };
      texts = shown.map((symbols) => ({ symbols: [BOUNDARY, ...symbols], reading: new Engine.Reading(net, symbols.length + 1) }));
      readAll();
      return net.layers.map((layer) => Object.keys(layer.parts));
    },

    /** Typed text: states of the rows of units asked for, for the last `columns` steps up to `end`, and the guesses. */
    type({ name = "live", symbols, end, columns, rows, guessed }) {
      const reading = (live[name] ??= new Engine.Reading(net));
      const computed = symbols.length + 1 - reading.follow([BOUNDARY, ...symbols]);
      const first = Math.max(0, end - columns + 1);
      const strips = rows.map((units, layer) => {
        const block = new Float32Array(units.length * (end - first + 1));
        for (let step = first; step <= end; step++) {
          const state = reading.at(layer, "state.h", step);
          units.forEach((unit, row) => (block[(step - first) * units.length + row] = state[unit]));
        }
        return block;
      });
      return { first, strips, computed, guesses: guesses(reading, end).map((p) => top(p, guessed)) };
    },

    /** Text that the net goes on with: drawn from its own guesses. */
    async write({ symbols, count, temperature }) {
      const reading = new Engine.Reading(net, symbols.length + count + 1);
      reading.follow([BOUNDARY, ...symbols]);
      const written = [];
      for (let k = 0; k < count; k++) {
        const logits = reading.logits(reading.length - 1).map((value) => value / temperature);
        const p = Engine.logSoftmax(logits).map(Math.exp);
        p[BOUNDARY] = 0;
        let left = Math.random() * p.reduce((a, b) => a + b, 0);
        const symbol = p.findIndex((value) => (left -= value) < 0);
        written.push(symbol < 0 ? p.indexOf(Math.max(...p)) : symbol);
        reading.push(written.at(-1));
        if (k % 8 === 7) await pause();
      }
      return written;
    },

    /** One unit's values over a text. `part`: "state.h", "gate.f", ... */
    async series({ text, layer, part, unit, count }) {
      const reading = await readTo(text, count);
      return Float32Array.from({ length: reading.length - 1 }, (_, i) => reading.at(layer, part, i + 1)[unit]);
    },

    /** A probe's probabilities over a text, or over what is read of it: for each layer (T * classes). */
    async probe({ text, first, classes, count }) {
      const reading = await readTo(text, count);
      const length = Math.min(reading.length - 1, count ?? Infinity);
      return net.layers.map((_, layer) => {
        const found = new Float32Array(length * classes);
        for (let i = 0; i < length; i++) found.set(classify("probe", layer, reading.at(layer, "state.h", i + 1), first, classes), i * classes);
        return found;
      });
    },

    /** For each layer and the output, over a text: the probability and the rank (0 = first) of what comes, and the favourite. */
    async nextCharacter({ text }) {
      const reading = await readTo(text);
      const found = [];
      for (let i = 0; i < reading.length - 1; i++) {
        guesses(reading, i).forEach((p, row) => {
          const one = (found[row] ??= { p: [], rank: [], favourite: [] });
          const right = p[reading.symbols[i + 1]];
          let rank = 0, best = 0;
          p.forEach((value, symbol) => {
            if (value > right) rank++;
            if (value > p[best]) best = symbol;
          });
          one.p.push(right);
          one.rank.push(rank);
          one.favourite.push(best);
        });
        if (i % 64 === 63) await pause();
      }
      return found;
    },

    /** The guesses of symbol `at` of a text. */
    async guesses({ text, at, count }) {
      return guesses(await readTo(text, at), at).map((p) => top(p, count));
    },

    /** How far, in each layer, the states are from what they would be had symbol `at` been another one. */
    async ripple({ text, at, symbol, steps }) {
      const reading = await readTo(text, at + steps);
      const end = Math.min(reading.length, at + 1 + steps);
      const other = reading.branch(at + 1);
      other.push(symbol);
      for (let step = at + 2; step < end; step++) other.push(reading.symbols[step]);
      return net.layers.map((_, layer) => {
        const curve = [];
        for (let step = at + 1; step < end; step++) {
          const a = reading.at(layer, "state.h", step), b = other.at(layer, "state.h", step);
          curve.push(Math.sqrt(a.reduce((sum, value, k) => sum + (value - b[k]) ** 2, 0)) / facts.unrelated[layer]);
        }
        return curve;
      });
    },

    /** The units whose mean over a span differs most, in deviations, from their mean over all else that has been read. */
    async units({ text, from, to, count }) {
      await readTo(text);
      const found = [];
      const sums = net.layers.map((layer) => [0, 1, 2, 3].map(() => new Float64Array(layer.units)));
      let inside = 0, outside = 0;
      for (const [index, { reading }] of texts.entries()) {
        for (let i = 0; i < reading.length - 1; i++) {
          const within = index === text && i >= from && i < to;
          within ? inside++ : outside++;
          net.layers.forEach((_, layer) => {
            const [sumIn, sumOut, squareOut] = sums[layer];
            const state = reading.at(layer, "state.h", i + 1);
            for (let unit = 0; unit < state.length; unit++) {
              if (within) sumIn[unit] += state[unit];
              else {
                sumOut[unit] += state[unit];
                squareOut[unit] += state[unit] ** 2;
              }
            }
          });
        }
      }
      eachUnit((layer, unit) => {
        const [sumIn, sumOut, squareOut] = sums[layer];
        const there = sumIn[unit] / inside, elsewhere = sumOut[unit] / outside;
        const deviation = Math.sqrt(Math.max(squareOut[unit] / outside - elsewhere ** 2, 0));
        if (deviation > 1e-6) found.push({ layer, unit, there, elsewhere, contrast: (there - elsewhere) / deviation });
      });
      found.sort((a, b) => Math.abs(b.contrast) - Math.abs(a.contrast));
      return { units: found.slice(0, count), read: inside + outside };
    },

    /** A unit's values on every text that has been read so far; null for the others. */
    everywhere({ layer, unit }) {
      return texts.map(({ reading, symbols }) =>
        reading.length < symbols.length ? null : Float32Array.from({ length: reading.length - 1 }, (_, i) => reading.at(layer, "state.h", i + 1)[unit])
      );
    },
  };

  port.onmessage = async ({ data: { id, ask, given } }) => {
    asked++;
    try {
      port.postMessage({ id, answer: await answers[ask](given) });
    } catch (error) {
      port.postMessage({ id, error: String(error?.stack ?? error) });
    }
    asked--;
  };
}
