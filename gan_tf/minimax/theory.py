"""What theory says of each way to play a quadratic game, and the rate measured from a run.

Every such way is a linear map, so its fate is in the eigenvalues of one small matrix.
`update_matrix` builds it from the formula, `simulate` plays the game without it, and the tests hold
the two together.

Notation: z = (x, y); F(z) = (df/dx, -df/dy), the direction in which both players move against;
J = [[2a, c], [-c, 2b]], so that F(z) = J z; E = diag(step_x, step_y), one step size per player.
"""

import math

import numpy as np

from gan_tf.minimax.dynamics import require_known, require_proximal_point
from gan_tf.system.errors import UserError


def update_matrix(game, dynamics, step_x, step_y):
    """Returns the matrix that one step of the dynamics multiplies z by.

    simultaneous     I - E J
    alternating      (I - E_y J) (I - E_x J), x first
    descent_on_both  I - E hessian
    extragradient    I - E J (I - E J)
    optimistic       z' = (I - 2 E J) z + E J before, a map of the pair (z, before)
    proximal         (I + E J)^-1

    docs/minimax.md says what follows from each, and proves it.

    Returns:
      [2, 2] float64; [4, 4] on (x, y, x before, y before) for optimistic.

    Raises:
      UserError: unknown dynamics, or steps for which the proximal point does not exist.
    """
    require_known(dynamics)
    identity = np.eye(2)
    scaled = np.diag([step_x, step_y]) @ game.jacobian  # E J
    if dynamics == "simultaneous":
        return identity - scaled
    if dynamics == "alternating":
        x_moves = identity - np.array([scaled[0], [0, 0]])
        y_moves = identity - np.array([[0, 0], scaled[1]])
        return y_moves @ x_moves
    if dynamics == "descent_on_both":
        return identity - np.diag([step_x, step_y]) @ game.hessian
    if dynamics == "extragradient":
        return identity - scaled @ (identity - scaled)
    if dynamics == "optimistic":
        return np.block([[identity - 2 * scaled, scaled], [identity, np.zeros((2, 2))]])
    require_proximal_point(game, step_x, step_y)
    return np.linalg.inv(identity + scaled)


def spectral_radius(matrix):
    """Returns the largest modulus of the eigenvalues: the factor per step in the long run."""
    return float(np.max(np.abs(np.linalg.eigvals(matrix))))


def predicted_rate(game, dynamics, step_x, step_y):
    """Returns the factor by which a step multiplies the distance to the stationary point.

    In the long run, and from almost every start: converging below 1, diverging above.

    Raises:
      UserError: unknown dynamics, or steps for which the proximal point does not exist.
    """
    return spectral_radius(update_matrix(game, dynamics, step_x, step_y))


def step_size_range(game, dynamics, player, other_step=None):
    """Returns the step sizes with which a player's sequence converges from every start.

    Where c = 0 a player's sequence does not depend on the other player at all. Where c is not 0
    both sequences converge or neither does, and the range depends on the step size of the other
    player.

    Closed form for simultaneous; for the others found by a scan (see `_first_range`) and bisection.

    Args:
      dynamics: a name in DYNAMICS.
      player: "x", "y", or "both" for one step size that both players use.
      other_step: the other player's step size, held; needed for "x" and "y" where c is not 0.

    Returns:
      (low, high), an open interval, high may be math.inf; None where no step size converges.

    Raises:
      UserError: an argument is unknown or missing.
    """
    require_known(dynamics)
    if player not in ("x", "y", "both"):
        raise UserError(f"`player`: choose x, y or both, not {player!r}")
    separate = game.c == 0 and player != "both"
    if not separate and player != "both" and other_step is None:
        raise UserError(
            f"`other_step`: give the other player's step size, {player}'s range needs it"
        )
    if dynamics == "simultaneous":
        return _simultaneous_range(game, player, other_step)

    def rate(step):
        other = step if player == "both" or separate else other_step
        try:
            matrix = update_matrix(
                game, dynamics, *((other, step) if player == "y" else (step, other))
            )
        except UserError:  # no proximal point: nothing that could converge
            return math.inf
        if separate:  # the player's own part of the map: (z) or (z, before)
            own = slice(0 if player == "x" else 1, None, 2)
            matrix = matrix[own, own]
        return spectral_radius(matrix)

    own = game.b if player == "y" else game.a
    return _first_range(rate, scale=2 * abs(own) if separate else np.max(np.abs(game.jacobian)))


def _simultaneous_range(game, player, other_step):
    """Closed form, from Jury's conditions on the trace t and determinant d of I - E J.

    Both eigenvalues are inside the unit circle iff 1 - t + d > 0, 1 + t + d > 0 and d < 1. With
    t = 2 - 2a step_x - 2b step_y and d = t - 1 + D step_x step_y, where D = 4ab + c^2, these are

        D > 0,
        4 - 4a step_x - 4b step_y + D step_x step_y > 0,
        2a step_x + 2b step_y - D step_x step_y > 0:

    at a held step_y each is linear in step_x. Where c = 0, |1 - 2a step_x| < 1 iff step_x < 1 / a.
    """
    determinant = 4 * game.a * game.b + game.c * game.c
    own, other = (game.b, game.a) if player == "y" else (game.a, game.b)
    if player == "both":
        # J has the eigenvalues l = s +- sqrt(s^2 - D), and |1 - e l| < 1 iff e < 2 Re(l) / |l|^2.
        s = game.a + game.b
        if determinant <= 0 or s <= 0:
            return None
        root = math.sqrt(max(0.0, s * s - determinant))
        return (0.0, 2 / (s + root)) if root else (0.0, 2 * s / determinant)
    if game.c == 0:
        return (0.0, 1 / own) if own > 0 else None
    if determinant <= 0:
        return None
    low, high = 0.0, math.inf
    for constant, slope in (
        (4 - 4 * other * other_step, determinant * other_step - 4 * own),
        (2 * other * other_step, 2 * own - determinant * other_step),
    ):  # constant + slope step > 0
        if slope > 0:
            low = max(low, -constant / slope)
        elif slope < 0:
            high = min(high, -constant / slope)
        elif constant <= 0:
            return None
    return (low, high) if low < high else None


def _first_range(rate, scale):
    """Returns the first interval of step sizes with rate < 1: scan for its ends, then bisect.

    The scan takes 25 steps a decade from 1e-4 / scale to 1e16 / scale. It misses a range narrower
    than its stride of 10 %, and takes what holds at its ends to hold down to 0 and up to infinity.
    """
    grid = np.geomspace(1e-4, 1e16, 501) / (scale or 1.0)
    # The margin keeps a map that only rotates (rate 1, plus rounding) from passing for converging.
    converges = np.array([rate(step) < 1 - 1e-12 for step in grid])
    if not converges.any():
        return None
    first = int(np.argmax(converges))
    low = 0.0 if first == 0 else _bisect(rate, grid[first], grid[first - 1])
    beyond = np.flatnonzero(~converges[first:])
    if not beyond.size:
        return low, math.inf
    end = first + int(beyond[0])
    return low, _bisect(rate, grid[end - 1], grid[end])


def _bisect(rate, inside, outside):
    """Returns the step size where the rate crosses 1, to a relative 1e-12.

    To 1e-8 only where two eigenvalues meet just there: rounding blurs a double one that much.
    """
    while abs(outside - inside) > 1e-13 * max(inside, outside):
        middle = (inside + outside) / 2
        if rate(middle) < 1:
            inside = middle
        else:
            outside = middle
    return float((inside + outside) / 2)


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
    return spectral_radius(fit)
