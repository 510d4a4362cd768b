"use strict";
// The game f(x, y) = a x^2 + c xy - b y^2, with the formulas of gan_tf.minimax. A test compares
// `simulate` and `predictedRate` with Python's.
const Minimax = (() => {
  const DIVERGENCE_BOUND = 1e30;
  const gradientX = (game, x, y) => 2 * game.a * x + game.c * y;
  const gradientY = (game, x, y) => game.c * x - 2 * game.b * y;

  // Each takes the point and both step sizes, and returns the next point.
  const moves = {
    simultaneous: (game, x, y, stepX, stepY) =>
      [x - stepX * gradientX(game, x, y), y + stepY * gradientY(game, x, y)],
    alternating(game, x, y, stepX, stepY) {
      const nextX = x - stepX * gradientX(game, x, y);
      return [nextX, y + stepY * gradientY(game, nextX, y)];
    },
    descent_on_both: (game, x, y, stepX, stepY) =>
      [x - stepX * gradientX(game, x, y), y - stepY * gradientY(game, x, y)],
    extragradient(game, x, y, stepX, stepY) {
      const ahead = moves.simultaneous(game, x, y, stepX, stepY);
      return [x - stepX * gradientX(game, ...ahead), y + stepY * gradientY(game, ...ahead)];
    },
  };

  function simulate(game, dynamics, start, stepX, stepY, steps) {
    let point = start;
    const trajectory = [start];
    for (let step = 1; step <= steps; step++) {
      point = moves[dynamics](game, ...point, stepX, stepY);
      if (!(Math.abs(point[0]) <= DIVERGENCE_BOUND && Math.abs(point[1]) <= DIVERGENCE_BOUND)) {
        return { trajectory, divergedAt: step };
      }
      trajectory.push(point);
    }
    return { trajectory, divergedAt: null };
  }

  // The factor per step in the long run: the largest absolute eigenvalue of the matrix of a step,
  // whose columns are the points that the step takes (1, 0) and (0, 1) to.
  function predictedRate(game, dynamics, stepX, stepY) {
    const [p, r] = moves[dynamics](game, 1, 0, stepX, stepY);
    const [q, s] = moves[dynamics](game, 0, 1, stepX, stepY);
    const square = ((p - s) / 2) ** 2 + q * r;
    if (square < 0) return Math.sqrt(p * s - q * r); // a conjugate pair
    return Math.abs((p + s) / 2) + Math.sqrt(square);
  }

  return { simulate, predictedRate };
})();
