"""Games between x, who makes f small, and y, who makes it large."""

import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from gan_tf.system.errors import UserError


def is_number(value, low, high, or_zero=False):
    """Returns whether a value, of any type, is a real number with a size from low to high."""
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, (int, float)):
        return False
    return low <= abs(value) <= high or (or_zero and value == 0)


@dataclass(frozen=True)
class QuadraticGame:
    """f(x, y) = a x^2 + c xy - b y^2: (4, 4, 0) is the assignment's game, (0, 0, 1) is f = xy.

    Args:
      a, b, c: each 0, or between 1e-15 and 1e15 in size; 4ab + c^2 is not 0, so that both gradients
        vanish at (0, 0) only.

    Raises:
      UserError: a coefficient is out of range, or f has a line of stationary points.
    """

    a: float
    b: float
    c: float = 0.0

    def __post_init__(self):
        for name in "abc":
            value = getattr(self, name)
            if not is_number(value, 1e-15, 1e15, or_zero=True):
                raise UserError(
                    "`game`: a, b and c must each be 0 or between 1e-15 and 1e15 in size"
                )
            object.__setattr__(self, name, float(value))
        if abs(self.determinant) <= 1e-12 * (4 * abs(self.a * self.b) + self.c * self.c):
            raise UserError(
                "`game`: 4ab + c^2 must not be 0, or f has a line of stationary points; "
                f"choose other than {self.a:g} {self.b:g} {self.c:g}"
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
        return np.array([[2 * self.a, self.c], [self.c, -2 * self.b]])

    @property
    def determinant(self):
        """4ab + c^2, of the Jacobian of (df/dx, -df/dy); exact, as its terms may nearly cancel."""
        return 4 * Fraction(self.a) * Fraction(self.b) + Fraction(self.c) ** 2

    @property
    def surface(self):
        """What the surface f has at (0, 0): "saddle", "minimum" or "maximum"."""
        if self.determinant > 0:  # the Hessian's is minus this one
            return "saddle"
        return "minimum" if self.a > 0 else "maximum"

    @property
    def is_minimax(self):
        """Whether (0, 0) solves min over x, max over y, and so is the game's saddle point.

        f(0, y) = -b y^2 <= f(0, 0) <= a x^2 = f(x, 0) for all x and y if and only if a, b >= 0:
        neither player gains by moving alone.
        """
        return self.a >= 0 and self.b >= 0

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
    return linear_form((game.a, "x^2"), (game.c, "xy"), (-game.b, "y^2"))


def linear_form(*terms):
    """Returns a sum of (factor, name) as text, such as `8 x + y`; `0` where nothing is left."""
    text = ""
    for factor, name in terms:
        if factor:
            sign = ("-" if not text else " - ") if factor < 0 else ("" if not text else " + ")
            text += sign + ("" if abs(factor) == 1 else f"{abs(factor):g} ") + name
    return text or "0"


def typeset(text):
    """Returns what a terminal shows, such as `step_x <= 4 x^2`, as it is printed: η_x ≤ 4x²."""
    superscript = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    text = re.sub(r"\^\d", lambda power: power[0][1:].translate(superscript), text)
    text = re.sub(
        r"(?<=\d)e([+-]\d+)",
        lambda exponent: "·10" + str(int(exponent[1])).translate(superscript),
        text,
    )
    for pattern, sign in (
        ("step_", "η_"),
        (r"\b([xy])0\b", r"\1₀"),
        ("<=", "≤"),
        ("<-", "←"),
        (r"(?<!\w)-", "−"),  # not the hyphen in a word
        (r"(?<=[0-9])\s(?=[xyη])", ""),
    ):
        text = re.sub(pattern, sign, text)
    return text


def unbroken(text, space):
    """Returns a text with its spaces in formulas and points, where no line may break, replaced."""
    return re.sub(r" (?=[-<=+>])|(?<=[-<=+>]) |(?<=,) (?=-?\d)|(?<=\d) (?=[sxy])", space, text)
