"""What theory predicts for each way to play a quadratic game, and the rate measured from a run.

A step is a linear map of the point (x, y), so the eigenvalues of one small matrix decide the
outcome. docs/minimax.md derives the result for each way to play.
"""

import math

import numpy as np

from gan_tf.minimax.dynamics import DYNAMICS


def update_matrix(game, dynamics, step_x, step_y):
    """Returns the matrix that one step multiplies (x, y) by.

    Args:
      game: a QuadraticGame.
      dynamics: a name in DYNAMICS.
      step_x, step_y: numbers, or arrays of the same shape for as many matrices.

    Returns:
      [..., 2, 2] float64; the columns are the points that (1, 0) and (0, 1) move to.
    """
    step_x, step_y = (np.asarray(step, np.float64)[..., None] for step in (step_x, step_y))
    return np.stack(DYNAMICS[dynamics](game, *np.eye(2), step_x, step_y), axis=-2)


def predicted_rate(game, dynamics, step_x, step_y):
    """Returns the factor by which a step multiplies the distance to (0, 0) in the long run.

    From almost every start the players converge if it is below 1, and diverge if it is above 1. At
    1 the distance may stay, oscillate, or grow by about the same amount in each step.

    Args: as for `update_matrix`.

    Returns:
      The largest absolute eigenvalue of the matrix; an array if the step sizes are arrays.
    """
    return np.abs(np.linalg.eigvals(update_matrix(game, dynamics, step_x, step_y))).max(axis=-1)


def step_size_limits(game):
    """Returns the limits below which gradient descent/ascent converges from every start.

    If c = 0, a step multiplies x by 1 - 2a step_x and y by 1 - 2b step_y. Otherwise equal step
    sizes s give the factors 1 - s l, where l = a + b +- sqrt((a - b)^2 - c^2) are the eigenvalues
    of the Jacobian of (df/dx, -df/dy), and |1 - s l| < 1 if and only if 0 < s < 2 Re(l) / |l|^2.

    Returns:
      A dict: if c = 0, a limit for each player, "x" and "y". Otherwise a limit for "both" with
      equal step sizes; it is 0.0 if a = b = 0, where no step sizes converge.
    """
    if game.c == 0:
        return {"x": 1 / game.a, "y": 1 / game.b}
    real = game.a + game.b
    square = (abs(game.a - game.b) - abs(game.c)) * (abs(game.a - game.b) + abs(game.c))
    if square < 0:  # a conjugate pair, |l|^2 = 4ab + c^2
        return {"both": 2 * real / (4 * game.a * game.b + game.c * game.c)}
    return {"both": 2 / (real + math.sqrt(square))}


def measured_rate(trajectory):
    """Measures the factor per step of a run of a quadratic game from its points alone.

    A least-squares fit finds the linear map that takes each point to the next one; the rate is its
    largest absolute eigenvalue. Each point is scaled to size 1, so that the last steps count as
    much as the first. The ratio of two distances would oscillate in a run that spirals.

    Args:
      trajectory: [steps + 1, 2] float64.

    Returns:
      The rate of this run, which an unusual start can make smaller than the predicted one; None if
      there are fewer than 3 points or the run starts at (0, 0).

    Source: dynamic mode decomposition (Schmid 2010).
    """
    now, following = trajectory[:-1], trajectory[1:]
    size = np.max(np.abs(now), axis=1, keepdims=True, initial=0)
    usable = size[:, 0] > 1e-200  # smaller points are mostly rounding error
    if len(trajectory) < 3 or not usable.any():
        return None
    now, following = now[usable] / size[usable], following[usable] / size[usable]
    # The fit maps directions that the run never took (below rcond) to 0.
    fit = np.linalg.lstsq(now, following, rcond=1e-10)[0]
    return float(np.abs(np.linalg.eigvals(fit)).max())
