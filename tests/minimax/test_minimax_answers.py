"""The assignment's answers: what is printed and reported is what runs without rounding do."""

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
    powers_of_ten,
    step_sizes,
    wide_games,
    wide_step_sizes,
)
from test_minimax import many_digits as many_digits  # a fixture

from gan_tf import minimax
from gan_tf.minimax import BILINEAR_GAME, DYNAMICS, HOMEWORK_GAME, QuadraticGame
from gan_tf.minimax.answers import FROM_TOY_TO_GAN, answers, report, sections
from gan_tf.minimax.games import typeset

pytestmark = pytest.mark.filterwarnings("error")


def test_report_of_the_assignment():
    one = np.float32(1)  # NumPy's numbers are taken too
    facts = report(HOMEWORK_GAME, (one, one), one / 16, one / 16, np.int64(50))
    assert json.loads(json.dumps(facts)) == facts == report()
    assert list(facts) == [
        "saddle_point", "hessian_eigenvalues", "step_size_range", "update_matrix", "rates",
        "duality_gap", "descent_on_both",
    ]  # fmt: skip
    assert facts["saddle_point"] == [0, 0]
    assert facts["hessian_eigenvalues"] == [-8, 8]
    assert facts["step_size_range"] == {"x": [0, 0.25], "y": [0, 0.25]}
    assert facts["update_matrix"] == [[0.5, 0], [0, 0.5]]
    assert list(facts["rates"]) == list(DYNAMICS)
    for rates in facts["rates"].values():
        assert rates["measured"] == close(rates["predicted"])
    assert facts["duality_gap"] == {"start": 8, "end": close(0)}
    on_both = facts["descent_on_both"]
    assert on_both["y_factor"] == 1.5 and on_both["diverges"] is True and on_both["f_falls"] is True
    assert "y0 = 0" in on_both["exception"] and "0 < step_x < 0.25" in on_both["exception"]


def test_answers_of_the_assignment():
    text = answers()
    for expected in (
        "f(x, y) = 4 x^2 - 4 y^2",
        "(0, 0) is the saddle point",
        "y <- y + step_y (-8 y) = (1 - 8 step_y) y",
        "x converges if and only if 0 < step_x < 0.25.",
        "0.98 at step_x = 0.2475, 1.02 at\n    step_x = 0.2525",
        "y <- y - step_y (-8 y) = (1 + 8 step_y) y",
        "f falls without bound if\n    4 step_x - 4 step_y < 1, rises",
        "from (1, 0) a run is at (8.88e-16, 0) after step 50",
        "here 4 x^2 + 4 y^2.",
        "simultaneous            0.5        0.5\n",
    ):
        assert expected in text
    assert max(map(len, text.splitlines())) <= 98
    diverging = answers(step_x=1 / 8, step_y=1 / 8, steps=200)
    assert "beyond 1e+30 at step 100" in diverging
    assert "do not show the long run" in answers(start=(1, 0))
    on_the_line = answers(BILINEAR_GAME)  # where descent on both converges from (1, 1)
    assert "(0.0397, 0.0397) after step 50" in on_the_line
    assert re.search(r"\(1, -1\) a run is at \(20.7, -20.7\)", on_the_line)


def test_the_docs_say_what_the_command_says():
    page = " ".join((ROOT / "docs" / "minimax.md").read_text(encoding="utf-8").split())
    said = [sentence for _, found in sections() for sentence in found]
    for sentence in (*said, *FROM_TOY_TO_GAN):
        assert sentence.startswith("Measured") or typeset(sentence) in page, sentence


# ------------------------------------------------------------------- every sentence, and its proof


class Case:
    """What a sentence was written for, in plain numbers and in 400 digits."""

    def __init__(self, game, start, step_x, step_y, steps):
        self.game, self.exact = game, Exact(game)
        self.start, self.sizes, self.steps = start, (step_x, step_y), steps

    def matrix(self, dynamics):
        return self.exact.matrix(dynamics, *self.sizes)[:2, :2]

    def with_step(self, player, size):
        return (size, self.sizes[1]) if player == "x" else (self.sizes[0], size)

    def far_along(self, start):
        """The point after so many steps of descent on both that it is very near or very far."""
        matrix, far = self.matrix("descent_on_both"), Decimal("1e1000000")
        for _ in range(500):  # doublings
            largest = max(map(abs, matrix.ravel()))
            if not 1 / far < largest < far:
                break
            matrix = matrix @ matrix
        return matrix @ np.array([Decimal(value) for value in start], dtype=object)


def evaluated(text, **values):
    """The value of a printed formula: `4 step_x - x` at the values given."""
    text = re.sub(r"(?<=\d) (?=[a-z])", " * ", text.replace("xy", "x * y"))
    return float(eval(text.replace("^", "**"), values))


def about(value, digits=6):
    return pytest.approx(float(value), rel=0.51 * 10 ** (1 - digits), abs=1e-20)


def gradients(case, of_x, of_y, twice_x, twice_y):
    assert case.exact.a * case.exact.b * 4 + case.exact.c**2 != 0
    for point in ({"x": 1, "y": 0}, {"x": 0, "y": 1}):
        assert evaluated(of_x, **point) == about(case.exact.gradient_x(**point))
        assert evaluated(of_y, **point) == about(case.exact.gradient_y(**point))
    assert float(twice_x) == about(2 * case.game.a) and float(twice_y) == about(-2 * case.game.b)


def who_gains(case, players=""):
    gains = {"x": case.exact.value(1, 0) < 0, "y": case.exact.value(0, 1) > 0}
    assert players.split(" and ") == ([player for player in "xy" if gains[player]] or [""])


def runs(dynamics, case, text):
    one_step, game = case.matrix(dynamics), case.exact
    pattern = r"from (\(.*?\)) a run.*? is at (\(.*?\)) after step (\d+)(.*)"
    for start, end, steps, rest in [re.match(pattern, run).groups() for run in text.split("; ")]:
        start, end = (np.array([*map(Decimal, eval(point))]) for point in (start, end))
        many_steps = np.linalg.matrix_power(one_step, int(steps))
        point, reach = many_steps @ start, abs(many_steps) @ abs(start)
        assert (abs(end - point) <= reach * Decimal("0.02")).all()  # start and end: three digits
        if beyond := re.search(r"beyond 1e\+30 at step (\d+)", rest):
            assert int(beyond[1]) == int(steps) + 1
            assert max(abs(one_step @ many_steps) @ abs(start)) > Decimal("0.98e30")
        else:
            assert int(steps) == case.steps
        if "f = " in rest:
            f, (x, y) = Decimal(rest.split("f = ")[1]), reach
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
        assert evaluated(factor, **{step: size}) == about(exact, 4)


def coupling(case, coupled=None):
    assert (case.game.c != 0) == (coupled is not None)


def converging(case, low, player, high):
    def converges(size):
        alone = None if case.game.c else player
        return case.exact.converges("simultaneous", *case.with_step(player, size), alone)

    low, high = float(low), float(high)
    inside = 1e-4 * (high - low) + 1e-5 * low  # they are printed to six digits
    if inside < 0.1 * (high - low):
        assert converges(low + inside) and converges(high - inside)
    assert not converges(high + inside) and (low == 0 or not converges(low - inside))


def never_converging(case, player):
    for size in (1e-20, 1e-10, 1e-4, 1e-2, 1.0, 1e2, 1e4, 1e10, 1e20):
        alone = None if case.game.c else player
        assert not case.exact.converges("simultaneous", *case.with_step(player, size), alone)


def measured_rates(case, text):
    for rate, player, size in re.findall(r"(\S+) at step_([xy]) = ([^,]+)", text):
        matrix = case.exact.matrix("simultaneous", *case.with_step(player, float(size)))[:2, :2]
        points = [np.array([Decimal(player == "x"), Decimal(player == "y")], dtype=object)]
        for _ in range(50):
            points.append(matrix @ points[-1])
        without_rounding = minimax.measured_rate(np.array(points, dtype=np.float64))
        assert float(rate) == pytest.approx(without_rounding, abs=1e-4)


def diverging(case, fate):
    end = case.far_along((0.7, 0.3))
    assert max(map(abs, end)) > 1e20
    value = -1.0
    if fate != "f falls without bound.":
        half, again = re.fullmatch(
            r".* bound if (.*) < 1, rises .* if (.*) > 1, and .*", fate
        ).groups()
        value = evaluated(half, step_x=case.sizes[0], step_y=case.sizes[1])
        assert half == again
    # Two large factors, or two that are almost equal, part after more steps than can be computed.
    if max(map(abs, case.matrix("descent_on_both").ravel())) < 100 and abs(value - 1) > 0.01:
        assert (case.exact.value(*end) < -1e9) == (value < 1) == (case.exact.value(*end) < 1e9)
        assert report(case.game, (1, 1), *case.sizes, 1)["descent_on_both"]["f_falls"] == (
            value < 1
        )


def exception_on_an_axis(case, resting, again, moving, step, high):
    assert resting == again and step == moving != resting
    start = (1, 0) if moving == "x" else (0, 1)
    for part, converges in ((0.999, True), (1.001, False)):
        case.sizes = case.with_step(moving, part * float(high))
        assert (max(map(abs, case.far_along(start))) < 1e-9) == converges


def exceptional_line(case):
    """One eigenvalue inside the unit circle and one outside: the polynomial has p(1) p(-1) < 0."""
    (p, q), (r, s) = case.matrix("descent_on_both")
    determinant = p * s - q * r
    assert case.game.c != 0 and (1 - p - s + determinant) * (1 + p + s + determinant) < 0


def extremum(case, kind):
    sign = {"minimum": 1, "maximum": -1}[kind]
    for x in np.linspace(-1, 1, 9):
        assert sign * case.game.value(x, 1) > 0 and sign * case.game.value(1, x) > 0
    if kind == "minimum":
        case.sizes = (1e-20, 1e-20)
    f = case.exact.value(*case.far_along((0.7, 0.3)))
    assert f < 1e-9 if kind == "minimum" else f < -1e9


def duality_gap(case, formula=None):
    assert (formula is None) == (case.game.a <= 0 or case.game.b <= 0)
    for x, y in ((1, 0), (0, 1), (0.6, -0.8)) if formula else ():
        assert evaluated(formula, x=x, y=y) == about(case.game.duality_gap(x, y))


def measured_gaps(case, first, last):
    run = minimax.simulate(case.game, "simultaneous", case.start, *case.sizes, case.steps)
    found = case.game.duality_gap(*run.trajectory[[0, -1]].T)
    assert [float(first), float(last)] == pytest.approx(found.tolist(), rel=1e-5)


PROOFS = {
    r"df/dx = (.*) and df/dy = (.*) vanish together only at \(0, 0\)\. The second derivative of f"
    r" is (\S+) along x and (\S+) along y\.": gradients,
    r"So .* neither player gains by moving alone, and \(0, 0\) is the saddle point\.": who_gains,
    r"So \(0, 0\) does not solve the game: (.*) gains? by moving alone\.": who_gains,
    r"(x) <- (x) (-) (step_x) \((.*?)\)(?: = \((.*)\) x)?": rule,
    r"(y) <- (y) (\+) (step_y) \((.*?)\)(?: = \((.*)\) y)?": rule,
    r"If y descends as well: (y) <- (y) (-) (step_y) \((.*?)\)(?: = \((.*)\) y)?": rule,
    r"The (players are coupled): each gradient depends on the other player\.": coupling,
    r"A player converges if and only if its factor is between -1 and 1\.": coupling,
    r".* converges? if and only if (\S+) < step_([xy]) < (\S+)\.": converging,
    r".* converges? for no step_([xy])\.": never_converging,
    r"Measured: a step multiplies the distance by (.*)\.": measured_rates,
    r"Whatever the step sizes, the players diverge from almost every start\. (.*)": diverging,
    r"The exception: from ([xy])0 = 0, ([xy]) stays there, and ([xy]) converges for"
    r" 0 < step_([xy]) < (\S+)\.": exception_on_an_axis,
    r"The exception: .* the players converge from the points of one line .*": exceptional_line,
    r"\(0, 0\) is the (minimum) of f, .* if the step sizes are small enough\.": extremum,
    r"\(0, 0\) is the (maximum) of f: .* other start, and f falls without bound\.": extremum,
    r"The duality gap is .*: here (.*)\. It is 0 at the saddle point and .*": duality_gap,
    r"The duality gap is .*\. It is not defined here, .*": duality_gap,
    r"Measured: (\S+) at the start, (\S+) at the end of a run of \(b\)\.": measured_gaps,
    r"Measured: (.* a run of \(b\) is .*)\.": lambda *found: runs("simultaneous", *found),
    r"Measured: (.* a run is .*)\.": lambda *found: runs("descent_on_both", *found),
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
@example(QuadraticGame(-1, 2, 3), (0.0, 0.0), 0.1, 0.1, 5)
def test_every_sentence_is_true(game, start, step_x, step_y, steps):
    arguments = game, start, step_x, step_y, steps
    for sentence in [sentence for _, found in sections(*arguments) for sentence in found]:
        matches = [(re.fullmatch(pattern, sentence), prove) for pattern, prove in PROOFS.items()]
        match, prove = next((match, prove) for match, prove in matches if match)
        prove(Case(*arguments), *match.groups())
    # The same numbers for a program; a test of `predicted_rate` proves the rates.
    facts = report(*arguments)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert (facts["saddle_point"] == [0, 0]) == (game.a >= 0 and game.b >= 0)
    descent, rate = facts["descent_on_both"], facts["rates"]["descent_on_both"]["predicted"]
    matrix = Case(*arguments).matrix("descent_on_both")
    assert descent["y_factor"] == about(matrix[1, 1])
    if game.surface != "minimum" or abs(rate - 1) > 1e-6:
        end = Case(*arguments).far_along((0.7, 0.3))
        assert descent["diverges"] == (max(map(abs, end)) > 1)
    assert "nan" not in answers(*arguments)
