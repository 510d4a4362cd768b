"""The homework's answers: what is printed and reported is what theory and runs say."""

import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from test_minimax import ROTATING_GAME, any_games, close, quickly, step_sizes

from gan_tf import minimax
from gan_tf.minimax import BILINEAR_GAME, DYNAMICS, QuadraticGame
from gan_tf.minimax_answers import answers, report

pytestmark = pytest.mark.filterwarnings("error")


def test_report_of_the_homework():
    facts = report()
    assert list(facts) == [
        "saddle_point", "hessian_eigenvalues", "step_size_range", "update_factors", "rates",
        "descent_on_both",
    ]  # fmt: skip
    assert facts["saddle_point"] == [0, 0]
    assert facts["hessian_eigenvalues"] == [-8, 8]
    assert facts["step_size_range"] == {"x": [0, 0.25], "y": [0, 0.25]}
    assert facts["update_factors"] == {"x": 0.5, "y": 0.5}
    assert list(facts["rates"]) == list(DYNAMICS)
    for rates in facts["rates"].values():
        assert rates["measured"] == close(rates["predicted"])
    on_both = facts["descent_on_both"]
    assert on_both["y_factor"] == 1.5 and on_both["diverges"] is True
    assert "y0 = 0" in on_both["exception"] and "0 < step_x < 0.25" in on_both["exception"]


@quickly
@given(any_games, st.sampled_from([(1.0, 1.0), (1.0, 0.0), (0.0, 0.0)]), step_sizes, step_sizes,
       st.integers(1, 60))  # fmt: skip
def test_report_and_answers_of_any_game(game, start, step_x, step_y, steps):
    assume(abs(4 * game.a * game.b + game.c**2) > 1e-9)
    facts = report(game, start, step_x, step_y, steps)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert (facts["saddle_point"] is None) == (game.a < 0 or game.b < 0)
    assert "nan" not in answers(game, start, step_x, step_y, steps)


def test_descent_converges_from_the_line_that_the_report_names():
    facts = report(ROTATING_GAME)
    text = facts["descent_on_both"]["exception"]
    direction = [float(number) for number in text.split("and (")[1].split(")")[0].split(",")]
    run = minimax.simulate(
        ROTATING_GAME, "descent_on_both", direction, 1 / 16, 1 / 16, 8
    ).trajectory
    assert np.hypot(*run[-1]) < 1e-3 < np.hypot(*run[0])
    assert report(QuadraticGame(4, -4))["descent_on_both"] == {
        "y_factor": 0.5, "diverges": False, "exception": None
    }  # fmt: skip


def test_range_of_a_coupled_game_holds_the_other_step():
    assert report(ROTATING_GAME)["step_size_range"] == {
        "x": [0, pytest.approx(0.375, abs=1e-12)], "y": [0, pytest.approx(0.375, abs=1e-12)]
    }  # fmt: skip
    assert report(BILINEAR_GAME)["step_size_range"] == {"x": None, "y": None}


def test_rates_without_a_proximal_point_are_none():
    rates = report(QuadraticGame(-4, 4), step_x=0.25)["rates"]
    assert rates["proximal"] == {"predicted": None, "measured": None}


def test_answers_of_the_homework():
    text = answers()
    for expected in (
        "f(x, y) = 4 x^2 - 4 y^2",
        "the saddle point is (0, 0)",
        "factor of x: computed 0.5, measured 0.5",
        "computed: 0 < step_x < 0.25\n    measured: rate 0.98 at 0.2475, rate 1.02 at 0.2525",
        "factor of y: computed 1.5, measured 1.5",
        "measured: a run from (1, 0) is at (8.88e-16, 0) after step 50",
        "simultaneous            0.5        0.5",
        "nothing rotates",
    ):
        assert expected in text
    diverging = answers(step_x=1 / 8, step_y=1 / 8, steps=200)
    assert "beyond 1e+30 at step 100" in diverging
    assert "excites only a part" in answers(start=(1, 0))
    assert "the run turns" in answers(ROTATING_GAME)
    assert "does not turn" in answers(QuadraticGame(8, 1, 1))
