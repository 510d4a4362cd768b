"""Ways to play a game: each takes the players one step further, and `simulate` plays many.

Each way takes the point (x, y), the one before it and the two step sizes, and returns the next one.
"""

from numbers import Integral
from typing import NamedTuple

import numpy as np

from gan_tf.minimax.games import is_number
from gan_tf.system.errors import UserError

# A coordinate beyond this is called divergence. Squares and cubes of it are still far from
# overflow, so that neither the run nor what is computed from it (f, the duality gap) ever becomes
# infinite. A start is 0 or at least its inverse, so that f does not vanish by underflow.
DIVERGENCE_BOUND = 1e30
MAX_STEPS = 10_000
SMALLEST_STEP = 1e-100


def simultaneous(game, point, before, step_x, step_y):
    """Gradient descent/ascent: both players move at once, from the same point.

    Source: the assignment's part (b). This is what the tutorial's GAN train step does.
    """
    x, y = point
    return x - step_x * game.gradient_x(x, y), y + step_y * game.gradient_y(x, y)


def alternating(game, point, before, step_x, step_y):
    """x moves first, and y answers the x that it now sees.

    Source: Bailey, Gidel & Piliouras 2020, "Finite regret and cycles with fixed step-size via
    alternating gradient descent-ascent"; Zhang & Yu 2020, "Convergence of gradient methods on
    bilinear zero-sum games" (Gauss-Seidel updates).
    """
    x, y = point
    x = x - step_x * game.gradient_x(x, y)
    return x, y + step_y * game.gradient_y(x, y)


def descent_on_both(game, point, before, step_x, step_y):
    """Plain gradient descent: y makes f small as well. The assignment's part (d)."""
    x, y = point
    return x - step_x * game.gradient_x(x, y), y - step_y * game.gradient_y(x, y)


def extragradient(game, point, before, step_x, step_y):
    """Try the step, then take it from the old point with the gradients of where it led.

    Source: Korpelevich 1976, "The extragradient method for finding saddle points and other
    problems"; for GANs Gidel et al. 2019, "A variational inequality perspective on generative
    adversarial networks".
    """
    x, y = point
    ahead_x, ahead_y = simultaneous(game, point, before, step_x, step_y)
    return (
        x - step_x * game.gradient_x(ahead_x, ahead_y),
        y + step_y * game.gradient_y(ahead_x, ahead_y),
    )


def optimistic(game, point, before, step_x, step_y):
    """Twice the gradient here minus the gradient one step ago.

    The first step has nothing before it: it takes before = point, and so is a simultaneous step.

    Source: Daskalakis et al. 2018, "Training GANs with optimism".
    """
    x, y = point
    return (
        x - step_x * (2 * game.gradient_x(x, y) - game.gradient_x(*before)),
        y + step_y * (2 * game.gradient_y(x, y) - game.gradient_y(*before)),
    )


DYNAMICS = {
    "simultaneous": simultaneous,
    "alternating": alternating,
    "descent_on_both": descent_on_both,
    "extragradient": extragradient,
    "optimistic": optimistic,
}


class Run(NamedTuple):
    """What `simulate` returns.

    Args:
      trajectory: [steps + 1, 2] float64, start first; [diverged_at, 2] where the run diverged.
      diverged_at: the first step whose point is beyond DIVERGENCE_BOUND, or None.
    """

    trajectory: np.ndarray
    diverged_at: int | None


def simulate(game, dynamics, start, step_x, step_y, steps):
    """Plays the game, and stops before overflow where it diverges.

    Args:
      game: a QuadraticGame, or an object with gradient_x(x, y) and gradient_y(x, y).
      dynamics: a name in DYNAMICS.
      start: (x, y), each 0 or between 1e-30 and 1e30 in size.
      step_x, step_y: step sizes, 1e-100 to 1e100.
      steps: at least 1, at most MAX_STEPS.

    Returns:
      A Run, whose trajectory belongs to the caller.

    Raises:
      UserError: an argument is out of range.
    """
    require_known(dynamics)
    start, step_x, step_y, steps = checked_arguments(start, step_x, step_y, steps)
    move = DYNAMICS[dynamics]
    before = point = start
    trajectory = np.empty((steps + 1, 2))
    trajectory[0] = point
    with np.errstate(over="ignore", invalid="ignore"):  # a reader's own gradients may use NumPy
        for step in range(1, steps + 1):
            before, point = point, move(game, point, before, step_x, step_y)
            if not (abs(point[0]) <= DIVERGENCE_BOUND and abs(point[1]) <= DIVERGENCE_BOUND):
                return Run(trajectory[:step].copy(), step)
            trajectory[step] = point
    return Run(trajectory, None)


def checked_arguments(start, step_x, step_y, steps):
    """Returns the arguments of `simulate` as Python's numbers; a UserError names a wrong one."""
    if np.shape(start) != (2,) or not all(
        is_number(value, 1 / DIVERGENCE_BOUND, DIVERGENCE_BOUND, or_zero=True) for value in start
    ):
        raise UserError("`start`: give two numbers, each 0 or between 1e-30 and 1e30 in size")
    for name, step_size in (("step_x", step_x), ("step_y", step_y)):
        if not is_number(step_size, SMALLEST_STEP, 1e100) or step_size < 0:
            raise UserError(f"`{name}`: give a number from 1e-100 to 1e100")
    if isinstance(steps, bool) or not isinstance(steps, Integral) or not 1 <= steps <= MAX_STEPS:
        raise UserError(f"`steps`: give a whole number from 1 to {MAX_STEPS}")
    return (float(start[0]), float(start[1])), float(step_x), float(step_y), int(steps)


def require_known(dynamics):
    if dynamics not in DYNAMICS:
        raise UserError(f"`dynamics`: choose one of {', '.join(DYNAMICS)}")
