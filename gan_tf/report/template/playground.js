"use strict";
// The minimax playground: shows the path, distance and rate for the chosen start, step sizes,
// coupling and dynamics.
(() => {
  const STEPS = 50;
  const element = (id) => document.getElementById(id);
  const svgElement = (name, attributes, text = "") => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  };
  const number = (value, digits = 4) => Number(value.toPrecision(digits)).toString();
  let start = [1, 1];

  // The sliders end a little above the step sizes of interest: 1 / a, or 2 / c if the coupling
  // dominates. Their grid is always the same and includes 1/16, 1/8 and 1/4, so that a change of the
  // range does not change a step size.
  function fitStepSizes(a, c) {
    const most = Math.min(1.25 / Math.max(a, c / 2), 10);
    for (const slider of [element("step-x"), element("step-y")]) {
      slider.max = Math.round(most / slider.step) * slider.step;
    }
  }

  function update() {
    const [a, c] = [element("curvature").valueAsNumber, element("coupling").valueAsNumber];
    fitStepSizes(a, c);
    const [stepX, stepY] = [element("step-x").valueAsNumber, element("step-y").valueAsNumber];
    const dynamics = element("dynamics").value;
    for (const id of ["step-x", "step-y", "coupling", "curvature"]) {
      element(`${id}-value`).textContent = number(element(id).valueAsNumber);
    }
    const game = { a, b: a, c };
    const { trajectory, divergedAt } =
      Minimax.simulate(game, dynamics, start, stepX, stepY, STEPS);
    const rate = Minimax.predictedRate(game, dynamics, stepX, stepY);
    drawPath(trajectory);
    drawDistance(trajectory, rate);
    describe(dynamics, trajectory, divergedAt, rate);
  }

  function drawPath(trajectory) {
    // Distant points are moved closer, but not into the picture, so that lines keep their direction.
    const near = ([x, y]) => {
      const size = Math.max(Math.abs(x), Math.abs(y)) / 1000;
      return size > 1 ? [x / size, -y / size] : [x, -y];
    };
    const points = trajectory.map(near);
    element("path").setAttribute("points", points.map((point) => point.join(",")).join(" "));
    element("points").replaceChildren(...points.map(([x, y]) =>
      svgElement("circle", { class: "point", cx: x, cy: y, r: 0.028 })));
    element("start").setAttribute("cx", start[0]);
    element("start").setAttribute("cy", -start[1]);
  }

  function drawDistance(trajectory, rate) {
    const logs = trajectory.map(([x, y]) => Math.log10(Math.max(Math.hypot(x, y), 1e-16)));
    const low = Math.floor(Math.min(...logs, -1));
    const high = Math.ceil(Math.max(...logs, 1));
    const across = (step) => 46 + (step / STEPS) * 422;
    const up = (log) => 14 + (206 * (high - log)) / (high - low);
    const points = (values) => values.map((log, step) => `${across(step)},${up(log)}`).join(" ");
    const clamp = (log) => Math.min(Math.max(log, low), high);
    element("measured").setAttribute("points", points(logs));
    const slope = Math.log10(Math.max(rate, 1e-16));
    element("predicted").setAttribute("points",
      points(logs.map((_, step) => clamp(logs[0] + slope * step))));
    const every = Math.ceil((high - low) / 5);
    const ticks = [];
    for (let log = low; log <= high; log += every) {
      ticks.push(svgElement("line", { class: "rule", x1: 46, x2: 468, y1: up(log), y2: up(log) }));
      ticks.push(svgElement("text", { class: "tick", x: 40, y: up(log) + 4, "text-anchor": "end" },
        Math.abs(log) < 3 ? 10 ** log : `1e${log}`));
    }
    for (const step of [0, 10, 20, 30, 40, 50]) {
      ticks.push(svgElement("text",
        { class: "tick", x: across(step), y: 240, "text-anchor": "middle" }, step));
    }
    element("distance-ticks").replaceChildren(...ticks);
  }

  function describe(dynamics, trajectory, divergedAt, rate) {
    const shown = number(rate, 6); // so that the words agree with the digits
    const fate = shown < 1 ? "the players converge"
      : shown > 1 ? "from almost every start the players diverge"
        : "on the border the distance may stay, oscillate or grow steadily";
    const distance = Math.hypot(...trajectory[trajectory.length - 1]);
    const end = divergedAt === null
      ? `After ${STEPS} steps the distance is ${number(distance)}.`
      : `At step ${divergedAt} a coordinate exceeds 1e30.`;
    element("outcome").textContent =
      `Dynamics: ${dynamics.replaceAll("_", " ")}. Predicted rate ${shown} per step: ${fate}. ` +
      `The players start at (${number(start[0])}, ${number(start[1])}), ` +
      `at distance ${number(Math.hypot(...start))}. ${end}`;
  }

  function moveStart(x, y) {
    const limited = (value) => Math.min(Math.max(Math.round(value * 100) / 100, -2), 2);
    start = [limited(x), limited(y)];
    update();
  }

  const plane = element("plane");
  function drag(event) {
    const box = plane.getBoundingClientRect();
    moveStart(
      ((event.clientX - box.left) / box.width) * 4.4 - 2.2,
      2.2 - ((event.clientY - box.top) / box.height) * 4.4);
  }
  plane.addEventListener("pointerdown", (event) => {
    plane.setPointerCapture(event.pointerId);
    drag(event);
  });
  plane.addEventListener("pointermove", (event) => {
    if (plane.hasPointerCapture(event.pointerId)) drag(event);
  });
  element("start").addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[event.key];
    if (!move) return;
    moveStart(start[0] + move[0], start[1] + move[1]);
    event.preventDefault();
  });
  for (const id of ["step-x", "step-y", "coupling", "curvature", "dynamics"]) {
    element(id).addEventListener("input", update);
  }
  document.querySelectorAll(".game").forEach((button) =>
    button.addEventListener("click", () => {
      element("curvature").value = button.dataset.a;
      element("coupling").value = button.dataset.c;
      fitStepSizes(button.dataset.a, button.dataset.c);
      element("step-x").value = element("step-y").value = button.dataset.step;
      update();
    }));
  update();
})();
