"use strict";
// The toy f(x, y) = a x^2 + c xy - b y^2 with the formulas of gan_tf.minimax. A test compares
// `simulate` and `predictedRate` with the Python functions.
const Minimax = (() => {
  const DIVERGENCE_BOUND = 1e30;
  const gradientX = (game, x, y) => 2 * game.a * x + game.c * y;
  const gradientY = (game, x, y) => game.c * x - 2 * game.b * y;

  // Each takes the point, the previous one and both step sizes, and returns the next point.
  const moves = {
    simultaneous(game, [x, y], before, stepX, stepY) {
      return [x - stepX * gradientX(game, x, y), y + stepY * gradientY(game, x, y)];
    },
    alternating(game, [x, y], before, stepX, stepY) {
      const nextX = x - stepX * gradientX(game, x, y);
      return [nextX, y + stepY * gradientY(game, nextX, y)];
    },
    descent_on_both(game, [x, y], before, stepX, stepY) {
      return [x - stepX * gradientX(game, x, y), y - stepY * gradientY(game, x, y)];
    },
    extragradient(game, [x, y], before, stepX, stepY) {
      const ahead = moves.simultaneous(game, [x, y], before, stepX, stepY);
      return [x - stepX * gradientX(game, ...ahead), y + stepY * gradientY(game, ...ahead)];
    },
    optimistic(game, [x, y], before, stepX, stepY) {
      return [
        x - stepX * (2 * gradientX(game, x, y) - gradientX(game, ...before)),
        y + stepY * (2 * gradientY(game, x, y) - gradientY(game, ...before)),
      ];
    },
  };

  function simulate(game, dynamics, start, stepX, stepY, steps) {
    let before = start;
    let point = start;
    const trajectory = [start];
    for (let step = 1; step <= steps; step++) {
      [before, point] = [point, moves[dynamics](game, point, before, stepX, stepY)];
      if (!(Math.abs(point[0]) <= DIVERGENCE_BOUND && Math.abs(point[1]) <= DIVERGENCE_BOUND)) {
        return { trajectory, divergedAt: step };
      }
      trajectory.push(point);
    }
    return { trajectory, divergedAt: null };
  }

  // Complex numbers are [real, imaginary].
  function squareRoot([re, im]) {
    const size = Math.hypot(re, im);
    const root = Math.sqrt((size + Math.abs(re)) / 2);
    if (root === 0) return [0, 0];
    if (re >= 0) return [root, im / (2 * root)];
    return [Math.abs(im) / (2 * root), im < 0 ? -root : root];
  }

  function eigenvalues([[p, q], [r, s]]) {
    const middle = (p + s) / 2;
    const [re, im] = squareRoot([((p - s) / 2) ** 2 + q * r, 0]);
    return [[middle + re, im], [middle - re, -im]];
  }

  // The factor per step in the long run: the largest modulus among the eigenvalues.
  function predictedRate(game, dynamics, stepX, stepY) {
    const scaled = [[2 * game.a * stepX, game.c * stepX], [-game.c * stepY, 2 * game.b * stepY]];
    if (dynamics === "optimistic") {
      // Each eigenvalue l of the scaled Jacobian gives two roots of m^2 - (1 - 2 l) m - l = 0.
      const sizes = eigenvalues(scaled).flatMap(([re, im]) => {
        const [u, v] = [1 - 2 * re, -2 * im];
        const [s, t] = squareRoot([u * u - v * v + 4 * re, 2 * u * v + 4 * im]);
        return [Math.hypot(u + s, v + t) / 2, Math.hypot(u - s, v - t) / 2];
      });
      return Math.max(...sizes);
    }
    // The other maps are linear: the images of (1, 0) and (0, 1) are their columns.
    const [p, r] = moves[dynamics](game, [1, 0], null, stepX, stepY);
    const [q, s] = moves[dynamics](game, [0, 1], null, stepX, stepY);
    return Math.max(...eigenvalues([[p, q], [r, s]]).map(([re, im]) => Math.hypot(re, im)));
  }

  return { simulate, predictedRate };
})();
