"""What theory says of each way to play a quadratic game, and the rate measured from a run.

A step is a linear map of the point (x, y), so its fate is in the eigenvalues of one small matrix.
docs/minimax.md says what follows for each way, and proves it.
"""

import math
from fractions import Fraction

import numpy as np

from gan_tf.minimax.dynamics import DYNAMICS, require_known
from gan_tf.system.errors import UserError


def update_matrix(game, dynamics, step_x, step_y):
    """Returns the matrix that one step of the dynamics multiplies (x, y) by.

    Its columns are where the step takes the unit vectors. An optimistic step looks back at the
    point before, so that it is a map of the pair.

    Args:
      game: a QuadraticGame.
      dynamics: a name in DYNAMICS.
      step_x, step_y: numbers, or arrays of one shape for as many matrices.

    Returns:
      [..., 2, 2] float64; [..., 4, 4] on (x, y, x before, y before) for optimistic.

    Raises:
      UserError: unknown dynamics.
    """
    require_known(dynamics)
    unit = np.eye(4)
    steps = [np.asarray(step, np.float64)[..., None] for step in (step_x, step_y)]
    moved = np.stack(DYNAMICS[dynamics](game, unit[:2], unit[2:], *steps), axis=-2)  # [..., 2, 4]
    if not moved[..., 2:].any():
        return moved[..., :2]
    return np.concatenate([moved, np.broadcast_to(unit[:2], moved.shape)], axis=-2)


def predicted_rate(game, dynamics, step_x, step_y):
    """Returns the factor by which a step multiplies the distance to (0, 0).

    In the long run, and from almost every start: converging below 1, diverging above. At 1 it does
    not decide: the distance may stay, swing, or grow by about as much with each step.

    Args, Raises: as for `update_matrix`.

    Returns:
      The largest modulus of the matrix's eigenvalues; an array where the step sizes are arrays.
    """
    return np.abs(np.linalg.eigvals(update_matrix(game, dynamics, step_x, step_y))).max(axis=-1)


def verdict(rate):
    """Returns what a rate says of a run, in a word, by the four digits that are shown of it."""
    shown = float(f"{rate:.4g}")
    return "converges" if shown < 1 else "diverges" if shown > 1 else "on the border"


def step_size_range(game, player, other_step=None):
    """Returns the step sizes with which gradient descent/ascent converges from every start.

    Where c = 0 a player's sequence does not depend on the other player at all. Where c is not 0
    both sequences converge or neither does, and the range depends on the step size of the other
    player.

    Closed form, from Jury's conditions on the matrix of a step. With D = 4ab + c^2 both eigenvalues
    are inside the unit circle if and only if

        D > 0,
        4 - 4a step_x - 4b step_y + D step_x step_y > 0,
        2a step_x + 2b step_y - D step_x step_y > 0:

    at a held step_y each is linear in step_x. Where c = 0, |1 - 2a step_x| < 1 iff step_x < 1 / a.

    Args:
      game: a QuadraticGame.
      player: "x", "y", or "both" for one step size that both players use.
      other_step: the other player's step size, held; needed for "x" and "y" where c is not 0.

    Returns:
      (low, high), an open interval; None where no step size converges.

    Raises:
      UserError: an argument is unknown or missing.
    """
    if player not in ("x", "y", "both"):
        raise UserError("`player`: choose x, y or both")
    if player != "both" and game.c == 0:
        own = game.a if player == "x" else game.b
        return (0.0, 1 / own) if own > 0 else None
    if player != "both" and other_step is None:
        raise UserError(
            f"`other_step`: give it, where c is not 0 the range of {player} depends on it"
        )
    # Exact, as terms may nearly cancel.
    own, other = Fraction(game.a), Fraction(game.b)
    determinant = game.determinant
    if determinant <= 0:
        return None
    if player == "both":
        # The Jacobian of (df/dx, -df/dy) has the eigenvalues l = s +- sqrt(s^2 - D), and
        # |1 - e l| < 1 iff e < 2 Re(l) / |l|^2.
        s = own + other
        if s <= 0:
            return None
        root = math.sqrt(max(0, s * s - determinant))
        return 0.0, float(2 / (s + root) if root else 2 * s / determinant)
    if player == "y":
        own, other = other, own
    held = Fraction(other_step)
    low, high = Fraction(0), math.inf
    for constant, slope in (
        (4 - 4 * other * held, determinant * held - 4 * own),
        (2 * other * held, 2 * own - determinant * held),
    ):  # constant + slope step > 0
        if slope > 0:
            low = max(low, -constant / slope)
        elif slope < 0:
            high = min(high, -constant / slope)
        elif constant <= 0:
            return None
    return (float(low), float(high)) if low < high else None


def measured_rate(trajectory):
    """Measures the factor per step of a run of a quadratic game, from its points alone.

    The slope of log distance over steps is the rate only after all but the slowest part has died,
    and where the run spirals the distance swings about that slope. So fit what the points obey
    instead: the linear map from (z_t, z_t-1) to (z_t+1, z_t), by least squares over the whole run,
    each step scaled to the size of its own points so that the last ones count as much as the first.
    The fit knows neither the game nor the dynamics nor the step sizes. Its slowest mode is the
    rate.

    Where the start excites only a part of the dynamics, the rate is that part's: gradient descent
    on both players converges from y = 0, and so it is measured.

    Args:
      trajectory: [steps + 1, 2] float64, of a game whose stationary point is the origin.

    Returns:
      The rate, or None where there is nothing to measure: fewer than 6 points (the map has up to
      four modes), or a start at the stationary point.

    Source: Prony's method; in this form, dynamic mode decomposition (Schmid 2010) with one delay.
    """
    pairs = np.hstack([trajectory[1:], trajectory[:-1]])  # [steps, 4]: z_t, z_t-1
    now, following = pairs[:-1], pairs[1:]
    size = np.max(np.abs(now), axis=1, keepdims=True, initial=0)
    usable = size[:, 0] > 1e-200  # below this, rounding to denormal numbers is all there is to see
    if len(trajectory) < 6 or not usable.any():
        return None
    now, following = now[usable] / size[usable], following[usable] / size[usable]
    # Directions that the run never took are cut off: the fit maps them to 0.
    fit = np.linalg.lstsq(now, following, rcond=1e-10)[0]
    return float(np.abs(np.linalg.eigvals(fit)).max())
