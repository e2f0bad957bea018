"use strict";
// The net's arithmetic, as deeprnn.cells has it: the same equations, gate order and weights' names, in float32 storage
// and double sums. Symbols: T steps, I inputs, H units, G gates, Q outputs, L layers.

const Engine = (() => {
  const erf = (a) => {
    // Abramowitz & Stegun 7.1.26, within 1.5e-7.
    const t = 1 / (1 + 0.3275911 * Math.abs(a));
    const series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return Math.sign(a) * (1 - series * Math.exp(-a * a));
  };
  const sigmoid = (a) => 1 / (1 + Math.exp(-a));
  const SELU = 1.0507009873554805;
  const SELU_ALPHA = 1.6732632423543772;

  /** phi by the names of deeprnn.activations. */
  const PHI = {
    tanh: Math.tanh,
    relu: (a) => Math.max(a, 0),
    sigmoid,
    identity: (a) => a,
    softplus: (a) => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a))),
    softsign: (a) => a / (1 + Math.abs(a)),
    elu: (a) => (a > 0 ? a : Math.expm1(a)),
    leaky_relu: (a) => (a > 0 ? a : 0.01 * a),
    hardtanh: (a) => Math.min(Math.max(a, -1), 1),
    hardsigmoid: (a) => Math.min(Math.max(a / 6 + 0.5, 0), 1),
    selu: (a) => SELU * (a > 0 ? a : SELU_ALPHA * Math.expm1(a)),
    gelu: (a) => 0.5 * a * (1 + erf(a / Math.SQRT2)),
    silu: (a) => a * sigmoid(a),
    sin: Math.sin,
  };

  /**
   * out[row] = weight[first + row] . x, for a weight (rows, stride) of which the first x.length columns are read.
   * Four rows at a time, so that each x[k] is fetched once for them.
   */
  function times(weight, x, out, first = 0, stride = x.length) {
    const whole = out.length - (out.length % 4);
    for (let row = 0; row < whole; row += 4) {
      let p = (first + row) * stride, q = p + stride, r = q + stride, s = r + stride;
      let a = 0, b = 0, c = 0, d = 0;
      for (let k = 0; k < x.length; k++) {
        const value = x[k];
        a += weight[p++] * value;
        b += weight[q++] * value;
        c += weight[r++] * value;
        d += weight[s++] * value;
      }
      out[row] = a;
      out[row + 1] = b;
      out[row + 2] = c;
      out[row + 3] = d;
    }
    for (let row = whole; row < out.length; row++) {
      let at = (first + row) * stride, sum = 0;
      for (let k = 0; k < x.length; k++) sum += weight[at++] * x[k];
      out[row] = sum;
    }
    return out;
  }

  /** Layer normalisation in place (Ba, Kiros & Hinton 2016): each group of `sizes` as one vector, with a gain. */
  function normalise(value, gain, sizes, gainFirst = 0) {
    let first = 0;
    for (const size of sizes) {
      let mean = 0, variance = 0;
      for (let k = first; k < first + size; k++) mean += value[k] / size;
      for (let k = first; k < first + size; k++) variance += (value[k] - mean) ** 2 / size;
      const scale = 1 / Math.sqrt(variance + 1e-5);
      for (let k = first; k < first + size; k++) value[k] = (value[k] - mean) * scale * gain[gainFirst + k];
      first += size;
    }
  }

  /** How many blocks of H rows a cell's weights have, what layer normalisation takes together, and the gates' names. */
  const KINDS = {
    Elman: { blocks: 1, groups: [1], gates: [], states: ["h"] },
    GRU: { blocks: 3, groups: [2, 1], gates: ["r", "z", "n"], states: ["h"] },
    LSTM: { blocks: 4, groups: [4], gates: ["i", "f", "g", "o"], states: ["h", "c"] },
  };

  class Layer {
    /**
     * @param cell as in config.json. @param weights by name, Float32Array.
     * @param below units of the layer below. @param inputs symbols that it reads beside them, one-hot; or 0.
     */
    constructor(cell, weights, below, inputs) {
      const kind = KINDS[cell.cell];
      this.cell = cell;
      this.weights = weights;
      this.units = cell.hidden_size;
      this.gates = kind.gates;
      this.states = kind.states;
      this.phi = PHI[cell.activation];
      this.sigma = PHI[cell.gate_activation ?? "sigmoid"];
      this.groups = kind.groups.map((blocks) => blocks * this.units);
      this.inputs = inputs;
      this.below = new Float64Array(below);
      this.xPart = new Float64Array(kind.blocks * this.units);
      this.hPart = new Float64Array(kind.blocks * this.units);
      this.before = { h: new Float64Array(this.units), c: new Float64Array(this.units) };
      this.reset = new Float64Array(this.units);
      this.held = new Float64Array(this.units);
    }

    /** One step. Reads this.below and this.before; writes into `after` (h, and c of an LSTM) and `gates`, by name. */
    step(symbol, after, gates) {
      const { weights, xPart, below } = this;
      const stride = below.length + this.inputs;
      times(weights.weight_xh, below, xPart, 0, stride);
      if (this.inputs) {
        for (let k = 0, at = below.length + symbol; k < xPart.length; k++, at += stride) xPart[k] += weights.weight_xh[at];
      }
      if (weights.gain_xh) normalise(xPart, weights.gain_xh, this.groups);
      if (weights.bias) for (let k = 0; k < xPart.length; k++) xPart[k] += weights.bias[k];
      this[this.cell.cell](after, gates);
      this.zoneOut(after);
    }

    Elman(after) {
      const { xPart, hPart, phi } = this;
      this.recur(this.before.h, hPart, 0, this.groups);
      for (let k = 0; k < this.units; k++) after.h[k] = phi(xPart[k] + hPart[k]);
    }

    GRU(after, gates) {
      const { xPart, hPart, phi, sigma, units, weights } = this;
      const h = this.before.h;
      const late = this.cell.reset_after;
      this.recur(h, late ? hPart : hPart.subarray(0, 2 * units), 0, late ? this.groups : this.groups.slice(0, 1));
      for (let k = 0; k < units; k++) gates.r[k] = this.reset[k] = sigma(xPart[k] + hPart[k]);
      if (!late) {
        for (let k = 0; k < units; k++) this.held[k] = this.reset[k] * h[k];
        this.recur(this.held, hPart.subarray(2 * units), 2 * units, this.groups.slice(1));
      }
      for (let k = 0; k < units; k++) {
        const own = hPart[2 * units + k] + (weights.bias_hn ? weights.bias_hn[k] : 0);
        const n = phi(xPart[2 * units + k] + (late ? this.reset[k] * own : own));
        const z = sigma(xPart[units + k] + hPart[units + k]);
        gates.z[k] = z;
        gates.n[k] = n;
        after.h[k] = (1 - z) * n + z * h[k];
      }
    }

    LSTM(after, gates) {
      const { xPart, hPart, phi, sigma, units, weights, held } = this;
      this.recur(this.before.h, hPart, 0, this.groups);
      const argument = (block, k) => xPart[block * units + k] + hPart[block * units + k];
      for (let k = 0; k < units; k++) {
        const i = (gates.i[k] = sigma(argument(0, k)));
        const f = (gates.f[k] = sigma(argument(1, k)));
        const g = (gates.g[k] = phi(argument(2, k)));
        gates.o[k] = sigma(argument(3, k));
        after.c[k] = held[k] = f * this.before.c[k] + i * g;
      }
      if (weights.gain_c) {
        normalise(held, weights.gain_c, [units]);
        for (let k = 0; k < units; k++) held[k] += weights.bias_c[k];
      }
      for (let k = 0; k < units; k++) after.h[k] = gates.o[k] * phi(held[k]);
    }

    /** The recurrent product's rows from `first` on, normalised where the layer has layer_norm. */
    recur(h, out, first, groups) {
      times(this.weights.weight_hh, h, out, first);
      if (this.weights.gain_hh) normalise(out, this.weights.gain_hh, groups, first);
    }

    /** Zoneout as in evaluation: its expectation. */
    zoneOut(after) {
      const keep = { h: this.cell.zoneout ?? 0, c: this.cell.zoneout_cell ?? 0 };
      for (const name of this.states) {
        if (!keep[name]) continue;
        const old = this.before[name], fresh = after[name];
        for (let k = 0; k < this.units; k++) fresh[k] = keep[name] * old[k] + (1 - keep[name]) * fresh[k];
      }
    }
  }

  class Net {
    /** @param config as config.json. @param tensors Float32Array by the names of the state_dict. */
    constructor(config, tensors) {
      this.config = config;
      this.output = { weight: tensors["output.weight"], bias: tensors["output.bias"] };
      this.layers = config.layers.map((cell, index) => {
        const prefix = `layers.${index}.`;
        const named = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
        const weights = Object.fromEntries(named.map(([name, values]) => [name.slice(prefix.length), values]));
        const below = index ? config.layers[index - 1].hidden_size : 0;
        return new Layer(cell, weights, below, index === 0 || config.input_to_all ? config.input_size : 0);
      });
    }

    /** What each layer passes upward, from its hidden states at one step. */
    passed(hidden) {
      const found = [];
      for (const h of hidden) {
        const below = found.at(-1);
        found.push(this.config.residual && below ? h.map((value, k) => value + below[k]) : h);
      }
      return found;
    }

    /** Q logits at one step, from the L hidden states. */
    logits(hidden) {
      const passed = this.passed(hidden);
      const read = this.config.output_from_all ? Float64Array.from(passed.flatMap((h) => Array.from(h))) : passed.at(-1);
      const out = times(this.output.weight, read, new Float64Array(this.config.output_size));
      return out.map((value, k) => value + this.output.bias[k]);
    }
  }

  /** A text and all that the net computed on it, step by step; it can grow at its end and be cut. */
  class Reading {
    constructor(net, capacity = 64) {
      this.net = net;
      this.symbols = new Int32Array(capacity);
      this.length = 0;
      this.kept = net.layers.map((layer) =>
        Object.fromEntries([...layer.states, ...layer.gates].map((part) => [part, new Float32Array(capacity * layer.units)]))
      );
    }

    /** One part ("h", "c", or a gate's name) of a layer at a step, as a view. */
    at(layer, part, step) {
      const units = this.net.layers[layer].units;
      return this.kept[layer][part].subarray(step * units, (step + 1) * units);
    }

    /** The L hidden states at a step. */
    hidden(step) {
      return this.net.layers.map((_, layer) => this.at(layer, "h", step));
    }

    logits(step) {
      return this.net.logits(this.hidden(step));
    }

    /** Reads one more symbol. */
    push(symbol) {
      const { net } = this;
      const step = this.length;
      if (step === this.symbols.length) this.grow();
      this.symbols[step] = symbol;
      let below = null;
      net.layers.forEach((layer, index) => {
        if (below) layer.below.set(below);
        for (const name of layer.states) {
          const initial = layer.weights[`initial_${name}`];
          if (step) layer.before[name].set(this.at(index, name, step - 1));
          else if (initial) layer.before[name].set(initial);
          else layer.before[name].fill(0);
        }
        const after = { h: this.at(index, "h", step) };
        if (layer.states.includes("c")) after.c = this.at(index, "c", step);
        layer.step(symbol, after, Object.fromEntries(layer.gates.map((gate) => [gate, this.at(index, gate, step)])));
        below = net.config.residual && below ? after.h.map((value, k) => value + below[k]) : after.h;
      });
      this.length = step + 1;
    }

    /** The reading of `symbols`, computed anew only from where they differ. */
    follow(symbols) {
      let same = 0;
      while (same < this.length && same < symbols.length && this.symbols[same] === symbols[same]) same++;
      this.length = same;
      for (let k = same; k < symbols.length; k++) this.push(symbols[k]);
      return same;
    }

    /** A reading that goes on from `step` symbols of this one. */
    branch(step) {
      const other = new Reading(this.net, step + 64);
      other.symbols.set(this.symbols.subarray(0, step));
      this.kept.forEach((parts, layer) => {
        const units = this.net.layers[layer].units;
        for (const name in parts) other.kept[layer][name].set(parts[name].subarray(0, step * units));
      });
      other.length = step;
      return other;
    }

    grow() {
      const larger = (array) => {
        const grown = new array.constructor(2 * array.length);
        grown.set(array);
        return grown;
      };
      this.symbols = larger(this.symbols);
      this.kept = this.kept.map((parts) => Object.fromEntries(Object.entries(parts).map(([name, a]) => [name, larger(a)])));
    }
  }

  /** ln p of every class, from logits. */
  function logSoftmax(logits) {
    let top = -Infinity, sum = 0;
    for (const value of logits) top = Math.max(top, value);
    for (const value of logits) sum += Math.exp(value - top);
    const all = top + Math.log(sum);
    return Array.from(logits, (value) => value - all);
  }

  /** Float32Arrays by name, from one base64 text and an index {name: [first, count]}. */
  function unpack(base64, index) {
    const binary = atob(base64);
    const bytes = new Uint8Array(binary.length);
    for (let k = 0; k < binary.length; k++) bytes[k] = binary.charCodeAt(k);
    const all = new Float32Array(bytes.buffer);
    return Object.fromEntries(Object.entries(index).map(([name, [first, count]]) => [name, all.subarray(first, first + count)]));
  }

  return { Net, Reading, PHI, KINDS, times, logSoftmax, unpack };
})();
