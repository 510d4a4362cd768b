"""Ways to play a game: each moves both players by one step, and `simulate` takes many steps.

Each takes a game, the point (x, y) and the two step sizes, and returns the next point.
"""

from numbers import Integral

import numpy as np

from gan_tf.minimax.games import is_number
from gan_tf.system.errors import UserError

# A run diverges when a coordinate exceeds this bound. Its square and cube are still far from
# overflow, so the run and f stay finite. A start is 0 or at least the inverse of the bound in size,
# so that f does not vanish by underflow.
DIVERGENCE_BOUND = 1e30
MAX_STEPS = 10_000
SMALLEST_STEP = 1e-100


def simultaneous(game, x, y, step_x, step_y):
    """Gradient descent/ascent: both players move at once, from the same point.

    Source: the assignment's part 1 (b). The GAN training step also takes both gradients at once.
    """
    return x - step_x * game.gradient_x(x, y), y + step_y * game.gradient_y(x, y)


def alternating(game, x, y, step_x, step_y):
    """x moves first, and y replies to the new x.

    Source: Bailey, Gidel & Piliouras 2020, "Finite regret and cycles with fixed step-size via
    alternating gradient descent-ascent"; Zhang & Yu 2020, "Convergence of gradient methods on
    bilinear zero-sum games" (Gauss-Seidel updates).
    """
    x = x - step_x * game.gradient_x(x, y)
    return x, y + step_y * game.gradient_y(x, y)


def descent_on_both(game, x, y, step_x, step_y):
    """Plain gradient descent: y minimises f as well. Source: the assignment's part 1 (d)."""
    return x - step_x * game.gradient_x(x, y), y - step_y * game.gradient_y(x, y)


def extragradient(game, x, y, step_x, step_y):
    """Tries a step, then moves from the old point along the gradients found at the new one.

    Source: Korpelevich 1976, "The extragradient method for finding saddle points and other
    problems"; for GANs Gidel et al. 2019, "A variational inequality perspective on generative
    adversarial networks".
    """
    ahead = simultaneous(game, x, y, step_x, step_y)
    return x - step_x * game.gradient_x(*ahead), y + step_y * game.gradient_y(*ahead)


DYNAMICS = {
    "simultaneous": simultaneous,
    "alternating": alternating,
    "descent_on_both": descent_on_both,
    "extragradient": extragradient,
}


def simulate(game, dynamics, start, step_x, step_y, steps):
    """Plays a game, and stops before a coordinate exceeds DIVERGENCE_BOUND.

    Args:
      game: a QuadraticGame.
      dynamics: a name in DYNAMICS.
      start: (x, y), each 0 or between 1e-30 and 1e30 in size.
      step_x, step_y: step sizes, 1e-100 to 1e100.
      steps: 1 to MAX_STEPS.

    Returns:
      [steps + 1, 2] float64, the points from the start on; fewer if the players diverge.

    Raises:
      UserError: an argument is out of range.
    """
    if dynamics not in DYNAMICS:
        raise UserError(f"`dynamics`: choose one of {', '.join(DYNAMICS)}")
    point, step_x, step_y, steps = checked_arguments(start, step_x, step_y, steps)
    trajectory = [point]
    for _ in range(steps):
        point = DYNAMICS[dynamics](game, *point, step_x, step_y)
        if not max(map(abs, point)) <= DIVERGENCE_BOUND:  # `not` also catches NaN
            break
        trajectory.append(point)
    return np.array(trajectory)


def checked_arguments(start, step_x, step_y, steps):
    """Returns the arguments of `simulate` as Python numbers; a UserError names an invalid one."""
    if np.shape(start) != (2,) or not all(
        is_number(value, 1 / DIVERGENCE_BOUND, DIVERGENCE_BOUND) for value in start
    ):
        raise UserError("`start`: give two numbers, each 0 or between 1e-30 and 1e30 in size")
    for name, step_size in (("step_x", step_x), ("step_y", step_y)):
        if not is_number(step_size, SMALLEST_STEP, 1e100) or step_size <= 0:
            raise UserError(f"`{name}`: give a number from 1e-100 to 1e100")
    if isinstance(steps, bool) or not isinstance(steps, Integral) or not 1 <= steps <= MAX_STEPS:
        raise UserError(f"`steps`: give a whole number from 1 to {MAX_STEPS}")
    return (float(start[0]), float(start[1])), float(step_x), float(step_y), int(steps)
