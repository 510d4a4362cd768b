"""Games between x, who makes f small, and y, who makes it large."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gan_tf.system.errors import UserError


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
                    f"`game`: {name} must be 0 or between 1e-15 and 1e15 in size, "
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
                "`game`: 4ab + c^2 must not be 0, or f has a line of stationary points; "
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
