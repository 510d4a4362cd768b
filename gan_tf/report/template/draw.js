"use strict";
// Lets a reader use the generator: new images, interpolation, and ten directions.
const Draw = (() => {
  const packedElement = document.getElementById("generator");
  if (!packedElement) return null;
  const packed = JSON.parse(packedElement.textContent);
  const weights = Generator.load(packed);
  const element = (id) => document.getElementById(id);

  // Box-Muller transform: from two uniform numbers to a standard normal one.
  const gaussian = () =>
    Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  const newNoise = () => Float32Array.from({ length: packed.latent_dim }, gaussian);

  function put(canvas, noise, left = 0, top = 0) {
    const context = canvas.getContext("2d");
    const picture = context.createImageData(28, 28);
    Generator.draw(weights, noise).forEach((level, index) =>
      picture.data.set([level, level, level, 255], 4 * index));
    context.putImageData(picture, left, top);
  }

  // Draws at most once per frame, however fast a slider moves.
  function oncePerFrame(work) {
    let asked = false;
    return () => {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => { asked = false; work(); });
    };
  }

  let drawing = 0;
  function drawNew() {
    const mine = ++drawing;
    const next = (index) => {
      if (mine !== drawing) return;
      put(element("draw-grid"), newNoise(), 2 + 30 * (index % 4), 2 + 30 * Math.floor(index / 4));
      element("draw-state").textContent = index < 15 ? `${index + 1} of 16` : "16 new images";
      if (index < 15) setTimeout(next, 0, index + 1); // keeps the page responsive
    };
    next(0);
  }

  let ends;
  const walk = oncePerFrame(() => {
    // Along a great circle, which keeps the length of the noise close to that in training.
    const [from, to] = ends;
    const dot = (u, v) => u.reduce((sum, value, index) => sum + value * v[index], 0);
    const angle = Math.acos(dot(from, to) / Math.sqrt(dot(from, from) * dot(to, to)));
    const t = element("walk").valueAsNumber;
    const [p, q] = [Math.sin((1 - t) * angle), Math.sin(t * angle)].map((s) => s / Math.sin(angle));
    put(element("walk-now"), from.map((value, index) => p * value + q * to[index]));
  });
  function newWalk() {
    ends = [newNoise(), newNoise()];
    put(element("walk-start"), ends[0]);
    put(element("walk-end"), ends[1]);
    walk();
  }

  const sliders = [...document.querySelectorAll(".direction")];
  let origin;
  const direct = oncePerFrame(() => {
    const moved = origin.map((value, index) => sliders.reduce(
      (sum, slider, k) => sum + slider.valueAsNumber * packed.directions[k][index], value));
    put(element("direction-image"), moved);
  });
  function newOrigin() {
    origin = newNoise();
    direct();
  }

  element("draw-new").addEventListener("click", drawNew);
  element("walk").addEventListener("input", walk);
  element("walk-new").addEventListener("click", newWalk);
  sliders.forEach((slider) => slider.addEventListener("input", direct));
  element("direction-new").addEventListener("click", newOrigin);
  element("direction-reset").addEventListener("click", () => {
    sliders.forEach((slider) => { slider.value = 0; });
    direct();
  });
  drawNew();
  newWalk();
  newOrigin();
  return { image: (noise) => Array.from(Generator.draw(weights, Float32Array.from(noise))) };
})();
