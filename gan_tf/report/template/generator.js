"use strict";
// The generator of gan_tf.models in plain JavaScript, for one image at a time, in float32.
const Generator = (() => {
  const EPSILON = 1e-3; // of Keras's BatchNormalization
  const SLOPE = 0.3; // of LeakyReLU below zero

  function halfToNumber(half) {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }

  function load(packed) {
    const bytes = Uint8Array.from(atob(packed.weights), (letter) => letter.charCodeAt(0));
    const ofHalf = Float32Array.from({ length: 65536 }, (_, half) => halfToNumber(half));
    const weights = {};
    let offset = 0;
    for (const [name, shape, kind] of packed.arrays) {
      const count = shape.reduce((product, side) => product * side, 1);
      weights[name] = kind === "f2"
        ? Float32Array.from(new Uint16Array(bytes.buffer, offset, count), (half) => ofHalf[half])
        : new Float32Array(bytes.buffer, offset, count);
      offset += Math.ceil((count * (kind === "f2" ? 2 : 4)) / 4) * 4;
    }
    return weights;
  }

  // noise [latent] times kernel [latent, units]
  function dense(noise, kernel) {
    const units = kernel.length / noise.length;
    const output = new Float32Array(units);
    noise.forEach((value, row) => {
      for (let unit = 0; unit < units; unit++) output[unit] += value * kernel[row * units + unit];
    });
    return output;
  }

  function normaliseAndLeak(values, weights, layer) {
    const gamma = weights[`${layer}/gamma`];
    const beta = weights[`${layer}/beta`];
    const mean = weights[`${layer}/moving_mean`];
    const variance = weights[`${layer}/moving_variance`];
    const channels = gamma.length;
    const scale = gamma.map((value, channel) => value / Math.sqrt(variance[channel] + EPSILON));
    for (let index = 0; index < values.length; index++) {
      const channel = index % channels;
      const value = (values[index] - mean[channel]) * scale[channel] + beta[channel];
      values[index] = value < 0 ? SLOPE * value : value;
    }
    return values;
  }

  // image [side, side, inputs], kernel [5, 5, outputs, inputs] to [stride side, stride side, outputs]
  function transposedConvolution(image, kernel, side, inputs, stride) {
    const outputs = kernel.length / (25 * inputs);
    const size = side * stride;
    const result = new Float32Array(size * size * outputs);
    const padding = Math.floor((5 - stride) / 2); // what "same" cuts off before the first pixel
    for (let top = 0; top < side; top++) {
      for (let left = 0; left < side; left++) {
        const from = (top * side + left) * inputs;
        for (let tap = 0; tap < 25; tap++) {
          const y = top * stride + Math.floor(tap / 5) - padding;
          const x = left * stride + (tap % 5) - padding;
          if (y < 0 || x < 0 || y >= size || x >= size) continue;
          const to = (y * size + x) * outputs;
          for (let output = 0; output < outputs; output++) {
            const row = (tap * outputs + output) * inputs;
            let [a, b, c, d] = [0, 0, 0, 0]; // four independent sums run faster
            for (let input = 0; input < inputs; input += 4) {
              a += image[from + input] * kernel[row + input];
              b += image[from + input + 1] * kernel[row + input + 1];
              c += image[from + input + 2] * kernel[row + input + 2];
              d += image[from + input + 3] * kernel[row + input + 3];
            }
            result[to + output] += a + b + c + d;
          }
        }
      }
    }
    return result;
  }

  // Returns the image for a noise vector as 784 grey levels from 0 to 255.
  function draw(weights, noise) {
    let image = normaliseAndLeak(dense(noise, weights["0/kernel"]), weights, 1); // [7, 7, 256]
    image = transposedConvolution(image, weights["4/kernel"], 7, 256, 1); // [7, 7, 128]
    image = normaliseAndLeak(image, weights, 5);
    image = transposedConvolution(image, weights["7/kernel"], 7, 128, 2); // [14, 14, 64]
    image = normaliseAndLeak(image, weights, 8);
    image = transposedConvolution(image, weights["10/kernel"], 14, 64, 2); // [28, 28, 1]
    return Uint8ClampedArray.from(image, (value) => (Math.tanh(value) + 1) * 127.5);
  }

  return { load, draw };
})();
