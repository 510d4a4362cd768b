"""The assignment's answers: every sentence and number is true of any game."""

import json
import re
from decimal import Decimal

import numpy as np
import pytest
from claims import check_claims, claims
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
    simulate,
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
    assert report(BILINEAR_GAME)["descent_on_both"]["y_factor"] is None
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


# ------------------------------------------------------------------------ every sentence is true

CLAIMS = claims("""
df/dx = {sum_of(x=2 * a, y=c)} and df/dy = {sum_of(x=c, y=-2 * b)} are both zero only at (0, 0). The
second derivative of f is {rounded(2 * a)} along x and {rounded(-2 * b)} along y.

Therefore f(0, y) <= f(0, 0) <= f(x, 0) for all x and y. Neither player gains by moving alone, so
(0, 0) is the saddle point.
    if a >= 0 and b >= 0

Measured: under (b), from {run_of("simultaneous")}.

x <- x - step_x ({sum_of(x=2 * a, y=c)}) = ({sum_of(one=1, step_x=-2 * a)}) x
    if c == 0

y <- y + step_y ({sum_of(x=c, y=-2 * b)}) = ({sum_of(one=1, step_y=-2 * b)}) y
    if c == 0

If y descends too: y <- y - step_y ({sum_of(x=c, y=-2 * b)}) = ({sum_of(one=1, step_y=2 * b)}) y
    if c == 0

x <- x - step_x ({sum_of(x=2 * a, y=c)})
    if c != 0

y <- y + step_y ({sum_of(x=c, y=-2 * b)})
    if c != 0

If y descends too: y <- y - step_y ({sum_of(x=c, y=-2 * b)})
    if c != 0

A player converges if and only if its factor is between -1 and 1.
    if c == 0

The players are coupled: each gradient also depends on the other player.
    if c != 0

x converges if and only if 0 < step_x < {rounded(limits["x"])}.

y converges if and only if 0 < step_y < {rounded(limits["y"])}.

With equal step sizes both players converge if and only if 0 < step_x = step_y <
{rounded(limits["both"])}.

The players converge for no step sizes.
    if limits == {"both": 0}

Measured: a step multiplies the distance by {rates}.

Whatever the step sizes, the players diverge from almost every start. f falls without bound.
    if a == 0

Whatever the step sizes, the players diverge from almost every start. f falls without bound if
{half_trace} < 1 and rises without bound if {half_trace} > 1. If {half_trace} = 1, the start
decides.
    if a > 0

The exception: with y0 = 0, y stays 0, and x converges if 0 < step_x < {rounded(1 / a)}.
    if c == 0

The exception: from one line through (0, 0) the players converge if the step sizes are small enough.
    if c != 0

Measured: from {run_of("descent_on_both")}; from {run_of("descent_on_both")}.

Measured: from {run_of("descent_on_both")}.
""")


def rounded(value):
    """Accepts a number that is rounded to six digits."""
    return lambda text: float(text) == pytest.approx(value, rel=5.1e-6, abs=0)


def sum_of(**factors):
    """Accepts a sum with factors of six digits, such as `1 - 8 step_x`."""
    expected = {name: factor for name, factor in factors.items() if factor}

    def accepts(text):
        terms = re.findall(r"(-?)(?:(\d[\d.]*(?:e[-+]\d+)?) ?)?(\w*)", text.replace("- ", "-"))
        found = {
            name or "one": float(sign + (size or "1")) for sign, size, name in terms if size or name
        }
        return found == pytest.approx(expected, rel=5.1e-6, abs=0)

    return accepts


def facts(game, start, step_x, step_y, steps):
    """What the claims rest on; other tests check the numbers of a run and the limits."""

    def run_of(dynamics):
        def accepts(text):
            pattern = r"(\(.*?\)) the players are at (\(.*?\)) after (\d+) steps(.*)"
            begin, end, last, rest = re.fullmatch(pattern, text).groups()
            run = simulate(game, dynamics, eval(begin), step_x, step_y, steps)
            x, y = run[-1]
            expected = ", and beyond 1e+30 one step later" if len(run) <= steps else ""
            if dynamics == "descent_on_both":
                expected += f", where f = {game.value(x, y):.3g}"
            assert eval(begin) == start or dynamics == "descent_on_both"
            found = (end, int(last) + 1, rest)
            return found == (f"({x:.3g}, {y:.3g})", len(run), expected)

        return accepts

    def rates(text):
        starts = {"x": (1, 0), "y": (0, 1), "x = step_y": (1, 0.7)}
        found = re.findall(r"(\S+) at step_(x = step_y|x|y) = ([^,]+)", text)
        for rate, players, size in found:
            run = simulate(game, "simultaneous", starts[players], float(size), float(size), 50)
            assert float(rate) == pytest.approx(measured_rate(run), abs=1e-4)
        return len(found) == 2 * len(limits)

    a, b, c, limits = game.a, game.b, game.c, step_size_limits(game)
    half_trace = sum_of(step_x=a, step_y=-b)
    return globals() | locals()


three_digits = any_sign(powers_of_ten(-5, 5)).map(lambda value: float(f"{value:.3g}"))


@settings(deadline=None, max_examples=60)
@given(
    st.one_of(any_games, wide_games),
    st.tuples(three_digits, three_digits),
    *[st.one_of(step_sizes, wide_step_sizes)] * 2,
    st.integers(1, 60),
)
@example(HOMEWORK_GAME, (1.0, 1.0), 1 / 16, 1 / 16, 50)
@example(HOMEWORK_GAME, (1.0, 1.0), 1.0, 0.01, 50)  # f rises
@example(BILINEAR_GAME, (1.0, 1.0), 1 / 16, 1 / 16, 50)
def test_every_sentence_is_true(game, start, step_x, step_y, steps):
    arguments = game, start, step_x, step_y, steps
    known = facts(*arguments)
    for sentence in [sentence for _, found in sections(*arguments) for sentence in found]:
        check_claims(sentence, CLAIMS, known)
    assert "nan" not in answers(*arguments)
    found = report(*arguments)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    # In 400 digits, descent on both diverges, and f falls or rises as it is said.
    exact = Exact(game)
    one_step = exact.matrix("descent_on_both", step_x, step_y)
    far = doubled(one_step, Decimal("1e1000000")) @ np.array([Decimal(0.7), Decimal(0.3)])
    assert max(map(abs, far)) > 1e20
    half_trace = game.a * step_x - game.b * step_y
    # Two large factors, or two almost equal ones, part after more steps than can be computed.
    if max(map(abs, one_step.ravel())) < 100 and abs(half_trace - 1) > 0.01:
        falls = found["descent_on_both"]["f_falls"]
        assert falls == (half_trace < 1)
        assert exact.value(*far) < -1e9 if falls else exact.value(*far) > 1e9
