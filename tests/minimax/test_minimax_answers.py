"""The homework's answers: what is printed and reported is what theory and runs say."""

import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from test_minimax import ROTATING_GAME, any_games, close, quickly, step_sizes

from gan_tf import minimax
from gan_tf.minimax import BILINEAR_GAME, DYNAMICS, HOMEWORK_GAME, QuadraticGame
from gan_tf.minimax.answers import answers, report

pytestmark = pytest.mark.filterwarnings("error")


def test_report_of_the_homework():
    facts = report()
    assert list(facts) == [
        "saddle_point", "hessian_eigenvalues", "step_size_range", "update_matrix",
        "update_factors", "rates", "duality_gap", "descent_on_both",
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
        "y_factor": 0.5, "diverges": False, "exception": None, "f_falls": False
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
        "factor of x: computed 0.5; measured 0.5",
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


@pytest.mark.parametrize(
    "step_x, step_y, falls", [(1 / 16, 1 / 16, True), (1, 0.01, False), (0.3, 0.1, True)]
)
def test_f_falls_without_bound_only_where_y_outgrows_x(step_x, step_y, falls):
    """x grows by |1 - 8 step_x|, y by 1 + 8 step_y: with (1, 0.01) f is above 1e34 after 20."""
    facts = report(step_x=step_x, step_y=step_y)["descent_on_both"]
    assert facts["f_falls"] is falls
    run = minimax.simulate(HOMEWORK_GAME, "descent_on_both", (1, 1), step_x, step_y, 20)
    assert (HOMEWORK_GAME.value(*run.trajectory[-1]) < -1) == falls
    said = f"f {'falls' if falls else 'does not fall'} without bound"
    assert said in answers(step_x=step_x, step_y=step_y)


def test_the_duality_gap_is_told():
    """max over y' of 4x^2 - 4y'^2 is 4x^2, min over x' is -4y^2."""
    assert report(start=(1, 2), steps=1)["duality_gap"] == {"start": 20, "end": 5}
    assert "Duality gap, max f(x, y') - min f(x', y) = 4 x^2 + 4 y^2" in answers()
    assert report(BILINEAR_GAME)["duality_gap"] is None
    assert "not defined" in answers(BILINEAR_GAME)
    coupled = report(ROTATING_GAME)["duality_gap"]["start"]
    x, y = (1.0, 1.0)
    replies = np.linspace(-3, 3, 60_001)
    value = ROTATING_GAME.value
    assert coupled == pytest.approx(value(x, replies).max() - value(replies, y).min(), abs=1e-6)


def test_a_start_on_the_exceptional_line_is_told_and_another_one_run():
    text = answers(BILINEAR_GAME)
    assert "at (0.0397, 0.0397) after step 50: this start lies on that line" in text
    assert (
        "is at (20.7, -20.7) after step 50" in text or "is at (-20.7, 20.7) after step 50" in text
    )
    assert "lies on that line" not in answers(ROTATING_GAME)


def test_a_coupled_game_shows_its_update_matrix():
    assert report(ROTATING_GAME)["update_matrix"] == [[0.5, -0.5], [0.5, 0.5]]
    text = answers(ROTATING_GAME)
    assert "new x, as a part of x and a part of y: computed 0.5, -0.5; measured 0.5, -0.5" in text
    assert "factor of x" not in text


def test_the_bound_on_the_step_size_is_one_for_equal_steps():
    """At c = 8 equal steps must stay below 16 / (64 + c^2) = 1/8; the pair (0.24, 0.05) may not."""
    assert minimax.step_size_range(ROTATING_GAME, "simultaneous", "both") == (
        0,
        pytest.approx(1 / 8),
    )
    matrix = np.eye(2) - np.diag([0.24, 0.05]) @ [[8, 8], [-8, 8]]
    rate = np.abs(np.linalg.eigvals(matrix)).max()
    assert rate == pytest.approx(0.465, abs=1e-3)
    found = minimax.predicted_rate(ROTATING_GAME, "simultaneous", 0.24, 0.05)
    assert found == pytest.approx(rate, abs=1e-12)
