"""Games between x, who minimises f, and y, who maximises it."""

import re
from dataclasses import dataclass

import numpy as np

from gan_tf.system.errors import UserError


def is_number(value, low, high):
    """Returns whether a value of any type is 0, or a real number of a size from low to high."""
    if isinstance(value, np.generic):
        value = value.item()
    return isinstance(value, (int, float)) and (value == 0 or low <= abs(value) <= high)


@dataclass(frozen=True)
class QuadraticGame:
    """f(x, y) = a x^2 + c xy - b y^2: (4, 4, 0) is the assignment's game, (0, 0, 1) is f = xy.

    With a, b >= 0, f(0, y) = -b y^2 <= f(0, 0) <= a x^2 = f(x, 0): neither player gains by moving
    alone, so (0, 0) is a saddle point.

    Args:
      a, b: each 0, or from 1e-15 to 1e15.
      c: 0, or from 1e-15 to 1e15 in size; not 0 if a or b is 0, so that (0, 0) is the only point
        where both gradients vanish.

    Raises:
      UserError: a coefficient is out of range, or (0, 0) is not the only saddle point.
    """

    a: float
    b: float
    c: float = 0.0

    def __post_init__(self):
        for name in "abc":
            value = getattr(self, name)
            if not is_number(value, 1e-15, 1e15):
                raise UserError("`game`: a, b and c must be 0, or from 1e-15 to 1e15 in size")
            object.__setattr__(self, name, float(value))
        if self.a < 0 or self.b < 0:
            raise UserError("`game`: a and b must not be negative, or f has no saddle point")
        if self.c == 0 and self.a * self.b == 0:
            raise UserError(
                "`game`: c must not be 0 if a or b is 0, or f has a line of saddle points"
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


HOMEWORK_GAME = QuadraticGame(4.0, 4.0, 0.0)
BILINEAR_GAME = QuadraticGame(0.0, 0.0, 1.0)


def formula(game):
    """Returns f as text, such as `4 x^2 - 4 y^2`."""
    return linear_form((game.a, "x^2"), (game.c, "xy"), (-game.b, "y^2"))


def linear_form(*terms):
    """Returns a sum of (factor, name) as text, such as `8 x + y`; `0` if every factor is 0."""
    text = ""
    for factor, name in terms:
        if factor:
            size = "" if abs(factor) == 1 else f"{abs(factor):g} "
            text += f" {'-' if factor < 0 else '+'} {size}{name}"
    return re.sub(r"^ (?:\+|(-)) ", r"\1", text) or "0"


def typeset(text):
    """Returns text for a terminal, such as `step_x <= 4 x^2`, as a page shows it: η_x ≤ 4x²."""

    def raised(match):
        return str(int(match[1])).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))

    for pattern, sign in (
        (r"\^(\d)", raised),
        (r"(?<=\d)e([+-]\d+)", lambda exponent: "·10" + raised(exponent)),
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
    """Returns text with the spaces replaced at which a formula or a point must not be broken."""
    return re.sub(r" (?=[-<=+>])|(?<=[-<=+>]) |(?<=,) (?=-?\d)|(?<=\d) (?=[sxy])", space, text)
