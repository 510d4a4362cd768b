"""The assignment's answers: every sentence and number holds for runs without rounding."""

import json
import re
from decimal import Decimal

import numpy as np
import pytest
from helpers import ROOT
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_minimax import (
    Exact,
    any_games,
    any_sign,
    close,
    doubled,
    powers_of_ten,
    step_sizes,
    wide_games,
    wide_step_sizes,
)
from test_minimax import many_digits as many_digits  # a fixture

from gan_tf.minimax import (
    BILINEAR_GAME,
    DYNAMICS,
    HOMEWORK_GAME,
    QuadraticGame,
    measured_rate,
    step_size_limits,
)
from gan_tf.minimax.answers import FROM_GAME_TO_GAN, answers, report, sections
from gan_tf.minimax.games import typeset

pytestmark = pytest.mark.filterwarnings("error")


def test_report_of_the_assignment():
    one = np.float32(1)  # NumPy's numbers are accepted too
    facts = report(HOMEWORK_GAME, (one, one), one / 16, one / 16, np.int64(50))
    assert json.loads(json.dumps(facts)) == facts == report()
    rates = facts.pop("rates")
    assert facts == {
        "saddle_point": [0, 0],
        "hessian_eigenvalues": [-8, 8],
        "step_size_range": {"x": [0, 0.25], "y": [0, 0.25]},
        "update_matrix": [[0.5, 0], [0, 0.5]],
        "descent_on_both": {
            "y_factor": 1.5,
            "diverges": True,
            "exception": "with y0 = 0, y stays 0, and x converges if 0 < step_x < 0.25",
            "f_falls": True,
        },
    }
    assert list(rates) == list(DYNAMICS)
    for name, expected in zip(rates, (0.5, 0.5, 1.5, 0.75)):
        assert rates[name] == {"predicted": close(expected), "measured": close(expected)}
    assert report(step_x=1.0, step_y=0.01)["descent_on_both"]["f_falls"] is False
    assert report(step_x=0.5, step_y=0.25)["descent_on_both"]["f_falls"] is None
    assert report(BILINEAR_GAME)["step_size_range"] == {"both": None}
    assert report(QuadraticGame(4, 4, 8))["step_size_range"] == {"both": [0, 0.125]}


def test_answers_of_the_assignment():
    text = answers()
    for expected in (
        "f(x, y) = 4 x^2 - 4 y^2",
        "0.98 at step_x = 0.2475, 1.02 at\n    step_x = 0.2525",
        "f falls without bound if\n    4 step_x - 4 step_y < 1 and rises",
        "from (1, 0) the players are at (8.88e-16, 0) after 50 steps",
        "simultaneous            0.5        0.5\n",
    ):
        assert expected in text
    assert max(map(len, text.splitlines())) <= 98
    diverging = answers(step_x=1 / 8, step_y=1 / 8, steps=200)
    assert "after 99 steps, and beyond 1e+30 one step later" in " ".join(diverging.split())
    assert "does not show the long run" in answers(start=(1, 0))
    on_the_line = answers(BILINEAR_GAME)  # from (1, 1), descent on both converges
    assert "(0.0397, 0.0397) after 50 steps" in on_the_line
    assert "(1, -1) the players are at (20.7, -20.7)" in on_the_line


def test_the_docs_agree_with_the_command():
    page = " ".join((ROOT / "docs" / "minimax.md").read_text(encoding="utf-8").split())
    printed = [sentence for _, found in sections() for sentence in found]
    for sentence in (*printed, *FROM_GAME_TO_GAN):
        assert sentence.startswith("Measured") or typeset(sentence) in page, sentence


# ----------------------------------------------------------------------- a proof of every sentence


class Case:
    """What a sentence was written for, in plain numbers and in 400 digits."""

    def __init__(self, game, start, step_x, step_y, steps):
        self.game, self.exact = game, Exact(game)
        self.sizes, self.steps = (step_x, step_y), steps

    def matrix(self, dynamics):
        return self.exact.matrix(dynamics, *self.sizes)

    def far_along(self, start):
        """The point after so many steps of descent on both that it is very near or very far."""
        matrix = doubled(self.matrix("descent_on_both"), Decimal("1e1000000"))
        return matrix @ np.array([Decimal(value) for value in start], dtype=object)


def evaluated(text, **values):
    """The value of a printed formula: `4 step_x - x` at the values given."""
    text = re.sub(r"(?<=\d) (?=[a-z])", " * ", text.replace("xy", "x * y"))
    return float(eval(text.replace("^", "**"), values))


def about(value, digits=6, term=0):
    """Accepts a value rounded to so many digits, or the difference of 1 and a rounded term."""
    allowed = 0.51 * 10 ** (1 - digits)
    return pytest.approx(float(value), rel=allowed, abs=max(1e-20, allowed * float(abs(term))))


def gradients(case, of_x, of_y, twice_x, twice_y):
    for point in ({"x": 1, "y": 0}, {"x": 0, "y": 1}):
        assert evaluated(of_x, **point) == about(case.exact.gradient_x(**point))
        assert evaluated(of_y, **point) == about(case.exact.gradient_y(**point))
    assert case.exact.a * case.exact.b * 4 + case.exact.c**2 != 0  # they vanish together only at 0
    assert float(twice_x) == about(2 * case.game.a) and float(twice_y) == about(-2 * case.game.b)


def nobody_gains(case):
    assert case.game.value(1, 0) >= 0 >= case.game.value(0, 1)


def runs(dynamics, case, text):
    one_step, game = case.matrix(dynamics), case.exact
    pattern = r"from (\(.*?\)) the players are at (\(.*?\)) after (\d+) steps(.*)"
    for start, end, steps, rest in [re.match(pattern, run).groups() for run in text.split("; ")]:
        start, end = (np.array([*map(Decimal, eval(point))]) for point in (start, end))
        many_steps = np.linalg.matrix_power(one_step, int(steps))
        point, reach = many_steps @ start, abs(many_steps) @ abs(start)
        # Start and end have three digits; what is exactly or almost 0 may be a rounding error.
        before = np.linalg.matrix_power(one_step, max(int(steps) - 1, 0)) @ start
        largest = (np.linalg.matrix_power(abs(one_step), int(steps)) @ abs(start)).max()
        rounding = largest * Decimal("1e-9") + abs(before).max() * Decimal("1e-13")
        rounding += Decimal("1e-150")  # squares of less than this have too few bits
        allowed = reach * Decimal("0.02") + rounding
        assert (abs(end - point) <= allowed).all()
        if "beyond 1e+30 one step later" in rest:
            assert max(abs(one_step @ many_steps) @ abs(start)) > Decimal("0.98e30")
        else:
            assert int(steps) == case.steps
        if "f = " in rest:
            f, (x, y) = Decimal(rest.split("f = ")[1]), reach + 100 * rounding
            terms = abs(game.a) * x * x + abs(game.c) * x * y + abs(game.b) * y * y
            assert abs(f - game.value(*point)) <= terms * Decimal("0.05")


def rule(case, player, own, sign, step, gradient, factor=None):
    """x <- x - step_x (8 x) = (1 - 8 step_x) x"""
    size = case.sizes["xy".index(player)]
    for x, y in ((1, 0), (0, 1)):
        of_player = {"x": case.exact.gradient_x, "y": case.exact.gradient_y}[player](x, y)
        assert evaluated(gradient, x=x, y=y) == about(of_player)
    assert (player, step) == (own, f"step_{player}") and (factor is None) == (case.game.c != 0)
    if factor:
        dynamics = "simultaneous" if (player, sign) != ("y", "-") else "descent_on_both"
        exact = case.matrix(dynamics)["xy".index(player)]["xy".index(player)]
        assert evaluated(factor, **{step: size}) == about(exact, 4, 1 - exact)


def coupling(case, coupled=None):
    assert (case.game.c != 0) == (coupled is not None)


def converging(case, player="both", high=0):
    """A test of `step_size_limits` proves its values."""
    limits = step_size_limits(case.game)
    assert float(high) == about(limits["both" if "=" in player else player])


def measured_rates(case, text):
    for rate, player, size in re.findall(r"(\S+) at step_(x = step_y|x|y) = ([^,]+)", text):
        matrix = case.exact.matrix("simultaneous", float(size), float(size))
        expected = matrix["xy".index(player[0])]["xy".index(player[0])]  # without coupling
        if case.game.c:
            points = [np.array([Decimal(1), Decimal("0.7")], dtype=object)]
            for _ in range(50):
                points.append(matrix @ points[-1])
            expected = measured_rate(np.array(points, dtype=np.float64))
        assert float(rate) == pytest.approx(abs(float(expected)), abs=1e-4)


def diverging(case, fate):
    end = case.far_along((0.7, 0.3))
    assert max(map(abs, end)) > 1e20
    half_trace = -1.0
    if fate != "f falls without bound.":
        pattern = r".* if (.*) < 1 and rises .* if \1 > 1\. If \1 = 1, the start decides\."
        formula = re.fullmatch(pattern, fate)[1]
        half_trace = evaluated(formula, step_x=case.sizes[0], step_y=case.sizes[1])
    # Two large factors, or two almost equal ones, part after more steps than can be computed.
    if max(map(abs, case.matrix("descent_on_both").ravel())) < 100 and abs(half_trace - 1) > 0.01:
        falls = half_trace < 1
        assert case.exact.value(*end) < -1e9 if falls else case.exact.value(*end) > 1e9
        assert report(case.game, (1, 1), *case.sizes, 1)["descent_on_both"]["f_falls"] == falls


def exception_on_an_axis(case, high):
    for part, converges in ((0.999, True), (1.001, False)):
        case.sizes = part * float(high), case.sizes[1]
        assert (max(map(abs, case.far_along((1, 0)))) < 1e-9) == converges


def exceptional_line(case):
    """One eigenvalue inside the unit circle and one outside: the polynomial has p(1) p(-1) < 0."""
    (p, q), (r, s) = case.exact.matrix("descent_on_both", 1e-20, 1e-20)
    determinant = p * s - q * r
    assert case.game.c != 0 and (1 - p - s + determinant) * (1 + p + s + determinant) < 0


PROOFS = {
    r"df/dx = (.*) and df/dy = (.*) are both zero only at \(0, 0\)\. The second derivative of f"
    r" is (\S+) along x and (\S+) along y\.": gradients,
    r"Therefore .* Neither player gains by moving alone, .*": nobody_gains,
    r"(x) <- (x) (-) (step_x) \((.*?)\)(?: = \((.*)\) x)?": rule,
    r"(y) <- (y) (\+) (step_y) \((.*?)\)(?: = \((.*)\) y)?": rule,
    r"If y descends too: (y) <- (y) (-) (step_y) \((.*?)\)(?: = \((.*)\) y)?": rule,
    r"The (players are coupled): each gradient also depends on the other player\.": coupling,
    r"A player converges if and only if its factor is between -1 and 1\.": coupling,
    r"(?:(?:x|y)|With equal step sizes both players) converges? if and only if"
    r" 0 < (?:step_(x|y|x = step_y)) < (\S+)\.": converging,
    r"The players converge for no step sizes\.": converging,
    r"Measured: a step multiplies the distance by (.*)\.": measured_rates,
    r"Whatever the step sizes, the players diverge from almost every start\. (.*)": diverging,
    r"The exception: with y0 = 0, y stays 0, and x converges if"
    r" 0 < step_x < (\S+)\.": exception_on_an_axis,
    r"The exception: from one line through \(0, 0\) the players .*": exceptional_line,
    r"Measured: under \(b\), (.*)\.": lambda *found: runs("simultaneous", *found),
    r"Measured: (from .*)\.": lambda *found: runs("descent_on_both", *found),
}  # fmt: skip


@settings(deadline=None, max_examples=100)
@given(
    st.one_of(any_games, wide_games),
    st.tuples(*[any_sign(powers_of_ten(-5, 5))] * 2),
    *[st.one_of(step_sizes, wide_step_sizes)] * 2,
    st.integers(1, 60),
)
@example(HOMEWORK_GAME, (1.0, 1.0), 1 / 16, 1 / 16, 50)
@example(HOMEWORK_GAME, (1.0, 1.0), 1.0, 0.01, 50)  # f rises
@example(BILINEAR_GAME, (1.0, 1.0), 1 / 16, 1 / 16, 50)
@example(
    QuadraticGame(1.0, 0.5, 0.0), (0.0, 1.0), 1.0, 0.9999999999999992, 3
)  # y is multiplied by 8e-16
def test_every_sentence_is_true(game, start, step_x, step_y, steps):
    arguments = game, start, step_x, step_y, steps
    for sentence in [sentence for _, found in sections(*arguments) for sentence in found]:
        matches = [(re.fullmatch(pattern, sentence), prove) for pattern, prove in PROOFS.items()]
        match, prove = next((match, prove) for match, prove in matches if match)
        prove(Case(*arguments), *match.groups())
    facts = report(*arguments)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    y_factor = Case(*arguments).matrix("descent_on_both")[1, 1]
    assert facts["descent_on_both"]["y_factor"] == about(y_factor, 6, 1 - y_factor)
    assert "nan" not in answers(*arguments)
