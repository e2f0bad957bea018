"use strict";
// The net's arithmetic: each cell's step as deeprnn.explorer.program traced it, in float32 storage and double sums.
// Symbols: T steps, I inputs, H units, G gates, Q outputs, L layers.

const Engine = (() => {
  const erf = (a) => {
    // Abramowitz & Stegun 7.1.26, within 1.5e-7.
    const t = 1 / (1 + 0.3275911 * Math.abs(a));
    const series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return Math.sign(a) * (1 - series * Math.exp(-a * a));
  };
  const sigmoid = (a) => 1 / (1 + Math.exp(-a));
  const softplus = (a) => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)));

  /** Operations on numbers, by the names and with the arguments of torch.ops.aten. */
  const ELEMENTWISE = {
    tanh: Math.tanh,
    sigmoid,
    relu: (a) => Math.max(a, 0),
    exp: Math.exp,
    expm1: Math.expm1,
    log: Math.log,
    log1p: Math.log1p,
    log_sigmoid: (a) => -softplus(-a),
    sqrt: Math.sqrt,
    rsqrt: (a) => 1 / Math.sqrt(a),
    reciprocal: (a) => 1 / a,
    neg: (a) => -a,
    abs: Math.abs,
    sin: Math.sin,
    cos: Math.cos,
    silu: (a) => a * sigmoid(a),
    gelu: (a, approximate) =>
      approximate === "tanh" ? 0.5 * a * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (a + 0.044715 * a ** 3))) : 0.5 * a * (1 + erf(a / Math.SQRT2)),
    hardsigmoid: (a) => Math.min(Math.max(a / 6 + 0.5, 0), 1),
    elu: (a, alpha, scale, inputScale) => scale * (a > 0 ? a : alpha * Math.expm1(a * inputScale)),
    leaky_relu: (a, slope) => (a > 0 ? a : slope * a),
    hardtanh: (a, low, high) => Math.min(Math.max(a, low), high),
    softplus: (a, beta, threshold) => (a * beta > threshold ? a : softplus(a * beta) / beta),
    clamp: (a, low, high) => Math.min(Math.max(a, low ?? -Infinity), high ?? Infinity),
    clamp_min: (a, low) => Math.max(a, low),
    clamp_max: (a, high) => Math.min(a, high),
    add: (a, b, alpha) => a + alpha * b,
    sub: (a, b, alpha) => a - alpha * b,
    rsub: (a, b, alpha) => b - alpha * a,
    mul: (a, b) => a * b,
    div: (a, b) => a / b,
    pow: Math.pow,
    maximum: (a, b) => Math.max(a, b),
    minimum: (a, b) => Math.min(a, b),
    logaddexp: (a, b) => (a === b ? a + Math.LN2 : Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)))),
    where: (condition, a, b) => (condition ? a : b),
    gt: (a, b) => a > b,
    ge: (a, b) => a >= b,
    lt: (a, b) => a < b,
    le: (a, b) => a <= b,
    eq: (a, b) => a === b,
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

  /** out = layer normalisation of a vector (Ba, Kiros & Hinton 2016), with a gain and a bias where there are such. */
  function normalise(value, gain, bias, epsilon, out) {
    const size = value.length;
    let mean = 0, variance = 0;
    for (let k = 0; k < size; k++) mean += value[k] / size;
    for (let k = 0; k < size; k++) variance += (value[k] - mean) ** 2 / size;
    const scale = 1 / Math.sqrt(variance + epsilon);
    for (let k = 0; k < size; k++) out[k] = (value[k] - mean) * scale * (gain ? gain[k] : 1) + (bias ? bias[k] : 0);
  }

  /** A function that computes out[k] = f(...inputs at k); an input is a vector, a vector of one number, or a constant. */
  function elementwise(f, inputs, out) {
    const [a, b, c, d] = inputs;
    const vectors = inputs.filter(ArrayBuffer.isView);
    const whole = vectors.every((vector) => vector.length === out.length);
    if (whole && vectors.length === 1 && vectors[0] === a) return () => { for (let k = 0; k < out.length; k++) out[k] = f(a[k], b, c, d); };
    if (whole && vectors.length === 2 && vectors[1] === b) return () => { for (let k = 0; k < out.length; k++) out[k] = f(a[k], b[k], c, d); };
    const at = (input, k) => (!ArrayBuffer.isView(input) ? input : input.length === 1 ? input[0] : input[k]);
    return () => { for (let k = 0; k < out.length; k++) out[k] = f(at(a, k), at(b, k), at(c, k), at(d, k)); };
  }

  /**
   * A cell's step as deeprnn.explorer.program traced it, with places of its own for all that it computes.
   * @param known vectors by name: what stands before the step, and the layer's weights.
   */
  class Program {
    constructor({ operations, after, gates }, known) {
      const results = [];
      const operand = (one) => (one === null || typeof one !== "object" ? one : "name" in one ? known[one.name] : results[one.result]);
      this.run = [];
      for (const { op, in: given, size, ...more } of operations) {
        const inputs = given.map(operand);
        // A part of a vector is a view of it, there once and for all.
        const out = op === "slice" ? inputs[0].subarray(more.first, more.first + size) : Float64Array.from({ length: size }, (_, k) => more.values?.[k % more.values.length] ?? 0);
        results.push(out);
        if (op === "slice" || op === "constant") continue;
        if (op === "product") this.run.push(() => times(known[more.weight], inputs[0], out, more.first));
        else if (op === "normalise") this.run.push(() => normalise(...inputs, out));
        else if (op === "cat") this.run.push(() => inputs.reduce((first, part) => (out.set(part, first), first + part.length), 0));
        else this.run.push(elementwise(ELEMENTWISE[op], inputs, out));
      }
      const named = (operands) => Object.fromEntries(Object.entries(operands).map(([name, one]) => [name, operand(one)]));
      this.after = named(after);
      this.gates = named(gates);
    }
  }

  class Layer {
    /**
     * @param cell as deeprnn.explorer.embedding describes it. @param weights by name, Float32Array.
     * @param below units of the layer below. @param inputs symbols that it reads beside them, one-hot; or 0.
     */
    constructor(cell, weights, below, inputs) {
      this.cell = cell;
      this.weights = weights;
      this.states = Object.keys(cell.states);
      this.units = cell.states.h;
      this.inputs = inputs;
      this.below = new Float64Array(below);
      this.product = new Float64Array(cell.rows);
      this.before = Object.fromEntries(this.states.map((name) => [name, new Float64Array(cell.states[name])]));
      const before = Object.fromEntries(this.states.map((name) => [`state.${name}`, this.before[name]]));
      this.program = new Program(cell.program, { ...weights, product: this.product, ...before });
      /** What there is at each step, with its size: the states, and the gates that the cell tells. */
      this.parts = Object.fromEntries([
        ...this.states.map((name) => [`state.${name}`, cell.states[name]]),
        ...Object.entries(this.program.gates).map(([name, gate]) => [`gate.${name}`, gate.length]),
      ]);
    }

    /** One step. Reads this.below and this.before; writes into `kept`, by the names of `parts`. */
    step(symbol, kept) {
      const { weights, product, below, program } = this;
      const stride = below.length + this.inputs;
      times(weights.weight_xh, below, product, 0, stride);
      if (this.inputs) {
        for (let k = 0, at = below.length + symbol; k < product.length; k++, at += stride) product[k] += weights.weight_xh[at];
      }
      for (const run of program.run) run();
      for (const name in program.gates) kept[`gate.${name}`].set(program.gates[name]);
      for (const name of this.states) this.keep(name, program.after[name], kept[`state.${name}`]);
    }

    /** A state after the step, with zoneout as in evaluation: its expectation. */
    keep(name, after, out) {
      const rate = this.cell.zoneout[name], old = this.before[name];
      for (let k = 0; k < out.length; k++) out[k] = rate ? rate * old[k] + (1 - rate) * after[k] : after[k];
    }
  }

  class Net {
    /** @param config as deeprnn.explorer.embedding has it. @param tensors Float32Array by the names of the state_dict. */
    constructor(config, tensors) {
      this.config = config;
      this.output = { weight: tensors["output.weight"], bias: tensors["output.bias"] };
      this.layers = config.layers.map((cell, index) => {
        const prefix = `layers.${index}.`;
        const named = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
        const weights = Object.fromEntries(named.map(([name, values]) => [name.slice(prefix.length), values]));
        const below = index ? config.layers[index - 1].states.h : 0;
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
        Object.fromEntries(Object.entries(layer.parts).map(([part, size]) => [part, new Float32Array(capacity * size)]))
      );
    }

    /** One part ("state.h", "gate.f", ...) of a layer at a step, as a view. */
    at(layer, part, step) {
      const size = this.net.layers[layer].parts[part];
      return this.kept[layer][part].subarray(step * size, (step + 1) * size);
    }

    /** The L hidden states at a step. */
    hidden(step) {
      return this.net.layers.map((_, layer) => this.at(layer, "state.h", step));
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
          if (step) layer.before[name].set(this.at(index, `state.${name}`, step - 1));
          else if (initial) layer.before[name].set(initial);
          else layer.before[name].fill(0);
        }
        layer.step(symbol, Object.fromEntries(Object.keys(layer.parts).map((part) => [part, this.at(index, part, step)])));
        const hidden = this.at(index, "state.h", step);
        below = net.config.residual && below ? hidden.map((value, k) => value + below[k]) : hidden;
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
        for (const [part, size] of Object.entries(this.net.layers[layer].parts)) other.kept[layer][part].set(parts[part].subarray(0, step * size));
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

  return { Net, Reading, ELEMENTWISE, elementwise, times, logSoftmax, unpack };
})();
