"""The homework's minimax toy: games, ways to play them, and the theory that predicts each way.

Player x moves to make f(x, y) small, player y moves to make it large. For a quadratic f every way
of playing is a linear map, so its fate is in the eigenvalues of one small matrix: `update_matrix`
builds it from the formula, `simulate` plays the game without it, and the tests hold the two
together.

Notation: z = (x, y); F(z) = (df/dx, -df/dy), the direction in which both players move against;
J = [[2a, c], [-c, 2b]], so that F(z) = J z; E = diag(step_x, step_y), one step size per player.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gan_tf.errors import UserError

# A coordinate beyond this is called divergence. Squares and cubes of it are still far from
# overflow, so that neither the run nor what is computed from it (f, the duality gap) ever becomes
# infinite.
DIVERGENCE_BOUND = 1e30
MAX_STEPS = 10_000


# ------------------------------------------------------------------------------------------- games


class Game(NamedTuple):
    """A game given by its two gradients, for a reader who wants to try an f of their own.

    Args:
      gradient_x: function (x, y) -> df/dx.
      gradient_y: function (x, y) -> df/dy.
    """

    gradient_x: Callable[[float, float], float]
    gradient_y: Callable[[float, float], float]


@dataclass(frozen=True)
class QuadraticGame:
    """f(x, y) = a x^2 + c x y - b y^2: (4, 4, 0) is the homework's game, (0, 0, 1) is f = xy.

    Args:
      a, b, c: each 0, or between 1e-15 and 1e15 in size.

    Raises:
      UserError: a coefficient is out of range, or not a number.
    """

    a: float
    b: float
    c: float = 0.0

    def __post_init__(self):
        for name in "abc":
            size = abs(getattr(self, name))
            if size != 0 and not 1e-15 <= size <= 1e15:  # written so that NaN fails too
                raise UserError(
                    f"--game: {name} must be 0 or between 1e-15 and 1e15 in size, "
                    f"not {getattr(self, name)}"
                )

    def value(self, x, y):
        """Returns f(x, y); x and y may be arrays."""
        return self.a * x * x + self.c * x * y - self.b * y * y

    def gradient_x(self, x, y):
        """Returns df/dx."""
        return 2 * self.a * x + self.c * y

    def gradient_y(self, x, y):
        """Returns df/dy."""
        return self.c * x - 2 * self.b * y

    @property
    def hessian(self):
        """[2, 2] float64: the second derivatives of f, the same everywhere."""
        return np.array([[2 * self.a, self.c], [self.c, -2 * self.b]], dtype=np.float64)

    @property
    def jacobian(self):
        """[2, 2] float64: J, the Jacobian of F(z) = (df/dx, -df/dy)."""
        return np.array([[2 * self.a, self.c], [-self.c, 2 * self.b]], dtype=np.float64)

    @property
    def classification(self):
        """Two words, for x and for y: "minimum", "flat" or "maximum" of f along that axis."""
        words = {1: "minimum", 0: "flat", -1: "maximum"}
        return words[int(np.sign(self.a))], words[int(np.sign(-self.b))]

    @property
    def is_minimax(self):
        """Whether the stationary point solves min over x, max over y.

        f(0, y) = -b y^2 <= f(0, 0) <= a x^2 = f(x, 0) for all x and y if and only if a, b >= 0:
        neither player gains by moving alone.
        """
        return self.a >= 0 and self.b >= 0

    def stationary_point(self):
        """Solves gradient = 0, which is the linear system hessian z = -(gradient at the origin).

        Returns:
          [2] float64.

        Raises:
          UserError: the Hessian is singular, so that there is a whole line of such points.
        """
        four_ab, c_squared = 4 * self.a * self.b, self.c * self.c
        if abs(four_ab + c_squared) <= 1e-12 * (abs(four_ab) + c_squared):
            raise UserError(
                "--game: 4ab + c^2 must not be 0, or f has a line of stationary points; "
                f"choose other than {self.a:g} {self.b:g} {self.c:g}"
            )
        gradient_at_origin = np.array([self.gradient_x(0.0, 0.0), self.gradient_y(0.0, 0.0)])
        return np.linalg.solve(self.hessian, -gradient_at_origin) + 0.0  # + 0.0 turns -0.0 into 0.0

    def saddle_point(self):
        """Returns the minimax solution, [2] float64, or None where the stationary point is not one.

        Raises:
          UserError: the Hessian is singular.
        """
        point = self.stationary_point()
        return point if self.is_minimax else None

    def duality_gap(self, x, y):
        """Returns max over y' of f(x, y') minus min over x' of f(x', y); x and y may be arrays.

        With y' = c x / 2b and x' = -c y / 2a the gap is (a + c^2/4b) x^2 + (b + c^2/4a) y^2: zero
        at the saddle point, positive elsewhere. None unless a > 0 and b > 0: otherwise a player's
        best reply is at infinity, or every reply is as good.
        """
        if self.a <= 0 or self.b <= 0:
            return None
        weight_x = self.a + self.c * self.c / (4 * self.b)
        weight_y = self.b + self.c * self.c / (4 * self.a)
        return weight_x * x * x + weight_y * y * y


HOMEWORK_GAME = QuadraticGame(4.0, 4.0, 0.0)
BILINEAR_GAME = QuadraticGame(0.0, 0.0, 1.0)


def formula(game):
    """Returns f as text, such as `4 x^2 - 4 y^2`."""
    return _sum((game.a, "x^2"), (game.c, "xy"), (-game.b, "y^2"))


def linear_form(of_x, of_y):
    """Returns a gradient as text, such as `8 x`."""
    return _sum((of_x, "x"), (of_y, "y"))


def _sum(*terms):
    text = ""
    for factor, name in terms:
        if factor:
            sign = ("-" if not text else " - ") if factor < 0 else ("" if not text else " + ")
            text += sign + ("" if abs(factor) == 1 else f"{abs(factor):g} ") + name
    return text or "0"


# ---------------------------------------------------------------------------------------- dynamics
# Each takes the point (x, y), the one before it and the two step sizes, and returns the next one.


def simultaneous(game, point, before, step_x, step_y):
    """Gradient descent/ascent: both players move at once, from the same point.

    Source: homework part (b). This is what the tutorial's GAN train step does.
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
    """Plain gradient descent: y makes f small as well. The wrong thing to do, homework part (d)."""
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
    """Twice the gradient here minus the gradient one step ago: z - 2 E F(z) + E F(before).

    The first step has nothing before it: it takes before = point, and so is a simultaneous step.

    Source: Daskalakis et al. 2018, "Training GANs with optimism".
    """
    x, y = point
    return (
        x - step_x * (2 * game.gradient_x(x, y) - game.gradient_x(*before)),
        y + step_y * (2 * game.gradient_y(x, y) - game.gradient_y(*before)),
    )


def proximal(game, point, before, step_x, step_y):
    """The implicit step z' = z - E F(z'), solved by hand; for quadratic games only.

    z' is the saddle point of f + (x' - x)^2 / 2 step_x - (y' - y)^2 / 2 step_y.

    Source: Rockafellar 1976, "Monotone operators and the proximal point algorithm".
    """
    _require_proximal_point(game, step_x, step_y)
    x, y = point
    pull_x, pull_y = 1 + 2 * game.a * step_x, 1 + 2 * game.b * step_y
    determinant = pull_x * pull_y + step_x * step_y * game.c * game.c
    return (
        (pull_y * x - step_x * game.c * y) / determinant,
        (pull_x * y + step_y * game.c * x) / determinant,
    )


def proximal_point_exists(game, step_x, step_y):
    """Tells whether the proximal problem of a quadratic game has a minimum in x, a maximum in y."""
    return 1 + 2 * game.a * step_x > 0 and 1 + 2 * game.b * step_y > 0


def _require_proximal_point(game, step_x, step_y):
    if not isinstance(game, QuadraticGame):
        raise UserError("game: the proximal point needs a QuadraticGame; try extragradient instead")
    if not proximal_point_exists(game, step_x, step_y):
        raise UserError(
            "--step-x, --step-y: the proximal point needs 1 + 2a step_x > 0 and 1 + 2b step_y > 0; "
            "take smaller steps"
        )


DYNAMICS = {
    "simultaneous": simultaneous,
    "alternating": alternating,
    "descent_on_both": descent_on_both,
    "extragradient": extragradient,
    "optimistic": optimistic,
    "proximal": proximal,
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
    """Plays the game, and stop before overflow where it diverges.

    Args:
      game: a Game or a QuadraticGame (anything with gradient_x and gradient_y).
      dynamics: a name in DYNAMICS.
      start: (x, y), each at most DIVERGENCE_BOUND in size.
      step_x, step_y: step sizes, 1e-100 to 1e100.
      steps: at least 1, at most MAX_STEPS.

    Returns:
      A Run, whose trajectory belongs to the caller.

    Raises:
      UserError: an argument is out of range.
    """
    _require_known(dynamics)
    check_arguments(start, step_x, step_y, steps)
    move = DYNAMICS[dynamics]
    before = point = float(start[0]), float(start[1])
    trajectory = np.empty((steps + 1, 2))
    trajectory[0] = point
    with np.errstate(over="ignore", invalid="ignore"):  # a reader's own gradients may use NumPy
        for step in range(1, steps + 1):
            before, point = point, move(game, point, before, step_x, step_y)
            if not (abs(point[0]) <= DIVERGENCE_BOUND and abs(point[1]) <= DIVERGENCE_BOUND):
                return Run(trajectory[:step].copy(), step)
            trajectory[step] = point
    return Run(trajectory, None)


def check_arguments(start, step_x, step_y, steps):
    """Raises UserError, which names the flag, unless `simulate` can take these."""
    if len(start) != 2 or not all(abs(value) <= DIVERGENCE_BOUND for value in start):
        raise UserError(f"--start: give two finite numbers of at most 1e30 in size, not {start}")
    for flag, step_size in (("--step-x", step_x), ("--step-y", step_y)):
        if not 1e-100 <= step_size <= 1e100:
            raise UserError(f"{flag}: give a positive number, 1e-100 to 1e100, not {step_size}")
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)):
        raise UserError(f"--steps: give a whole number, not {steps!r}")
    if not 1 <= steps <= MAX_STEPS:
        raise UserError(f"--steps: give a number from 1 to {MAX_STEPS}, not {steps}")


def _require_known(dynamics):
    if dynamics not in DYNAMICS:
        raise UserError(f"dynamics: choose one of {', '.join(DYNAMICS)}, not {dynamics!r}")


# ------------------------------------------------------------------------------------------ theory


def update_matrix(game, dynamics, step_x, step_y):
    """Returns the matrix that one step of the dynamics multiplies z by.

    In brackets what it is for the homework's game, where J = 8 I, with u = 8 step:

    simultaneous     I - E J                         [1 - u]
    alternating      (I - E_y J) (I - E_x J)         [1 - u: without coupling no difference]
    descent_on_both  I - E hessian                   [1 - u for x, 1 + u for y]
    extragradient    I - E J (I - E J)               [1 - u + u^2: < 1 iff u < 1, least 3/4 at 1/2]
    optimistic       z' = (I - 2 E J) z + E J before, a map of the pair (z, before)
                     [m^2 - (1 - 2u) m - u = 0: both roots inside the unit circle iff u < 1 and
                     2 - 3u > 0 (Jury's conditions), that is u < 2/3]
    proximal         (I + E J)^-1                    [1 / (1 + u)]

    For f = xy, J has the eigenvalues +-i. With equal steps e:
    simultaneous     |1 - ie| = sqrt(1 + e^2), never below 1.
    alternating      determinant 1, trace 2 - e^2: for e < 2 a pair on the unit circle. With
                     x' = x - ey and y' = y + ex' it conserves x^2 + y^2 - exy, as
                     x'^2 + y'^2 - ex'y' = x' (x' + ey) + y' (y' - ex') - ex'y = x'x + y'y - ex'y
                     = x'x + y^2 = x^2 + y^2 - exy.
    extragradient    |1 - ie - e^2| = sqrt(1 - e^2 + e^4): below 1 iff e < 1, least sqrt(3)/2 at
                     e^2 = 1/2.
    optimistic       ie = (m^2 - m) / (1 - 2m). On the circle, m = exp(it), the right side is
                     imaginary where (2 cos t - 1)(cos t - 1) = 0. There cos t = 1/2 gives
                     e^2 = (2 - 2 cos t) / (5 - 4 cos t) = 1/3, the only e > 0 where a root crosses.
    proximal         1 / |1 + ie| = 1 / sqrt(1 + e^2).

    For f = 4x^2 + c xy - 4y^2, -J has the eigenvalues -8 +- ic.
    simultaneous     |1 - e (8 + ic)|^2 = 1 - 16e + (64 + c^2) e^2: below 1 iff e < 16 / (64 + c^2),
                     least at half of that; for c = 8 it is 1/sqrt(2) at 1/16.
    alternating      at c = 8 determinant (1 - u)^2 and trace 2 - 2u - u^2: a conjugate pair of
                     modulus 1 - u until u^2 + 4u = 4, then two real ones, of which one grows.
                     So the best is 3 - 2 sqrt(2) = 0.1716, where u = 2 sqrt(2) - 2 and
                     e = (sqrt(2) - 1) / 4 = 0.1036.

    Returns:
      [2, 2] float64; [4, 4] on (x, y, x before, y before) for optimistic.

    Raises:
      UserError: unknown dynamics, or steps for which the proximal point does not exist.
    """
    _require_known(dynamics)
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
    _require_proximal_point(game, step_x, step_y)
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
    _require_known(dynamics)
    if player not in ("x", "y", "both"):
        raise UserError(f"player: choose x, y or both, not {player!r}")
    separate = game.c == 0 and player != "both"
    if not separate and player != "both" and other_step is None:
        raise UserError(f"other_step: give the other player's step size, {player}'s range needs it")
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
