"""gan_tf.minimax against closed forms: exact where the arithmetic is exact, else to 1e-9."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gan_tf import minimax
from gan_tf.minimax import (
    BILINEAR_GAME,
    DYNAMICS,
    HOMEWORK_GAME,
    Game,
    QuadraticGame,
    answers,
    theory,
)
from gan_tf.system.errors import UserError

pytestmark = pytest.mark.filterwarnings("error")

ROTATING_GAME = QuadraticGame(4.0, 4.0, 8.0)
GENERIC_START = (math.cos(1), math.sin(1))  # on no eigenvector of the games below

curvatures = st.floats(0.05, 8)
couplings = st.one_of(st.just(0.0), st.floats(0.05, 8), st.floats(-8, -0.05))
step_sizes = st.floats(0.005, 1)
games = st.builds(QuadraticGame, curvatures, curvatures, couplings)
any_games = st.builds(
    QuadraticGame, *[st.one_of(st.just(0.0), st.floats(0.05, 8), st.floats(-8, -0.05))] * 3
)
quickly = settings(deadline=None, max_examples=60)


def close(value):
    return pytest.approx(value, rel=0, abs=1e-9)


def one_step(game, dynamics, point, before, step_x, step_y):
    return np.array(DYNAMICS[dynamics](game, point, before, step_x, step_y))


def rate(game, dynamics, step_size):
    return minimax.predicted_rate(game, dynamics, step_size, step_size)


# ------------------------------------------------------------------------------------------- games


@quickly
@given(any_games, st.floats(-3, 3), st.floats(-3, 3))
def test_gradients_and_hessian_are_the_derivatives_of_f(game, x, y):
    # Central differences are exact for a quadratic, but for rounding.
    h = 0.5
    assert game.gradient_x(x, y) == close(game.value(x + h, y) - game.value(x - h, y))
    assert game.gradient_y(x, y) == close(game.value(x, y + h) - game.value(x, y - h))
    of_x = [game.gradient_x(x + h, y) - game.gradient_x(x - h, y),
            game.gradient_x(x, y + h) - game.gradient_x(x, y - h)]  # fmt: skip
    of_y = [game.gradient_y(x + h, y) - game.gradient_y(x - h, y),
            game.gradient_y(x, y + h) - game.gradient_y(x, y - h)]  # fmt: skip
    np.testing.assert_allclose(game.hessian, [of_x, of_y], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(game.jacobian, np.diag([1, -1]) @ game.hessian)


def test_homework_saddle_point():
    assert HOMEWORK_GAME.saddle_point().tolist() == [0, 0]
    assert HOMEWORK_GAME.classification == ("minimum", "maximum")
    assert np.linalg.eigvalsh(HOMEWORK_GAME.hessian).tolist() == [-8, 8]


@pytest.mark.parametrize(
    "game, classification, is_minimax",
    [
        (BILINEAR_GAME, ("flat", "flat"), True),
        (QuadraticGame(-4, 4), ("maximum", "maximum"), False),
        (QuadraticGame(4, -4), ("minimum", "minimum"), False),
        (QuadraticGame(0, 2, 1), ("flat", "maximum"), True),
    ],
)
def test_classification(game, classification, is_minimax):
    assert game.classification == classification
    assert (game.saddle_point() is not None) == is_minimax
    # The definition: neither player gains by leaving the point alone.
    away = np.linspace(-2, 2, 9)
    assert is_minimax == bool(np.all(game.value(away, 0) >= 0) and np.all(game.value(0, away) <= 0))


@pytest.mark.parametrize(
    "coefficients", [(0, 0, 0), (4, 0, 0), (0, 4, 0), (1, -1, 2), (-0.1, 0.1, 0.2)]
)
def test_a_line_of_stationary_points_is_refused(coefficients):
    with pytest.raises(UserError, match="`game`"):
        QuadraticGame(*coefficients).stationary_point()


@quickly
@given(games, st.floats(-2, 2), st.floats(-2, 2))
def test_duality_gap_is_best_reply_against_best_reply(game, x, y):
    gap = game.duality_gap(x, y)
    best_y, best_x = game.c * x / (2 * game.b), -game.c * y / (2 * game.a)
    assert gap == pytest.approx(game.value(x, best_y) - game.value(best_x, y), abs=1e-9, rel=1e-9)
    for other in (-1.0, 0.3, 2.0):  # no reply does better than the best
        assert game.value(x, best_y + other) - game.value(best_x + other, y) < gap
    assert game.duality_gap(0, 0) == 0


@pytest.mark.parametrize("coefficients", [(0, 0, 1), (-1, 1, 0), (1, 0, 1)])
def test_no_duality_gap_without_best_replies(coefficients):
    assert QuadraticGame(*coefficients).duality_gap(1, 1) is None


# ---------------------------------------------------------------------- dynamics against the theory


@quickly
@given(any_games, st.sampled_from(sorted(DYNAMICS)), step_sizes, step_sizes)
def test_a_step_is_what_the_matrix_says(game, dynamics, step_x, step_y):
    if dynamics == "proximal":
        assume(1 + 2 * game.a * step_x > 0.1 and 1 + 2 * game.b * step_y > 0.1)
    point, before = (0.7, -1.3), (-0.4, 0.9)
    matrix = minimax.update_matrix(game, dynamics, step_x, step_y)
    state = np.array(point + before)[: len(matrix)]
    moved = one_step(game, dynamics, point, before, step_x, step_y)
    np.testing.assert_allclose((matrix @ state)[:2], moved, rtol=1e-9, atol=1e-9)
    if len(matrix) == 4:
        assert tuple((matrix @ state)[2:]) == point


@quickly
@given(games, step_sizes, step_sizes)
def test_proximal_point_solves_the_implicit_equation(game, step_x, step_y):
    x, y = DYNAMICS["proximal"](game, (0.7, -1.3), None, step_x, step_y)
    assert x == close(0.7 - step_x * game.gradient_x(x, y))
    assert y == close(-1.3 + step_y * game.gradient_y(x, y))


@settings(deadline=None, max_examples=200)
@given(games, st.sampled_from(sorted(DYNAMICS)), step_sizes, step_sizes)
def test_measured_rate_is_the_predicted_rate(game, dynamics, step_x, step_y):
    predicted = minimax.predicted_rate(game, dynamics, step_x, step_y)
    assume(predicted < 1)
    run = minimax.simulate(game, dynamics, GENERIC_START, step_x, step_y, 60)
    assert minimax.measured_rate(run.trajectory) == pytest.approx(predicted, rel=0, abs=1e-6)


@quickly
@given(games, st.sampled_from(sorted(DYNAMICS)), st.sampled_from(["x", "y", "both"]), step_sizes)
def test_rate_crosses_1_at_the_ends_of_the_range(game, dynamics, player, other):
    interval = minimax.step_size_range(game, dynamics, player, other)

    def run_rate(step):
        step_x, step_y = {"x": (step, other), "y": (other, step), "both": (step, step)}[player]
        start = GENERIC_START
        if game.c == 0 and player != "both":  # only this player takes part
            start = (1.0, 0.0) if player == "x" else (0.0, 1.0)
        return minimax.measured_rate(
            minimax.simulate(game, dynamics, start, step_x, step_y, 60).trajectory
        )

    if interval is None:
        assert run_rate(0.01) >= 1 - 1e-9
        assert run_rate(1.0) >= 1 - 1e-9
        return
    low, high = interval
    assert run_rate(low + 0.01 * (min(high, 1e3) - low)) < 1
    if high == math.inf:
        assert run_rate(1e3) < 1
    else:
        assert run_rate(high * (1 - 1e-4)) < 1 < run_rate(high * (1 + 1e-4))


@quickly
@given(any_games, st.sampled_from(["x", "y", "both"]), step_sizes)
def test_closed_form_range_agrees_with_bisection(game, player, other):
    assume(abs(4 * game.a * game.b + game.c**2) > 1e-3)
    interval = minimax.step_size_range(game, "simultaneous", player, other)

    def rate_of(step):
        steps = {"x": (step, other), "y": (other, step), "both": (step, step)}[player]
        matrix = minimax.update_matrix(game, "simultaneous", *steps)
        if game.c == 0 and player != "both":
            return abs(matrix[0, 0] if player == "x" else matrix[1, 1])
        return minimax.spectral_radius(matrix)

    if interval is None:
        assert all(rate_of(step) >= 1 - 1e-9 for step in np.geomspace(1e-3, 1e3, 61))
        return
    assume(
        interval[1] > 1.2 * interval[0] and interval[1] > 1e-3
    )  # not thinner than the scan's stride
    found = theory._first_range(rate_of, scale=np.max(np.abs(game.jacobian)))
    # Hypothesis does find the games whose eigenvalues meet at the crossing: known to 1e-8 only.
    tolerance = 1e-9
    for end in interval:
        steps = {"x": (end, other), "y": (other, end), "both": (end, end)}[player]
        one, another = np.linalg.eigvals(minimax.update_matrix(game, "simultaneous", *steps))
        if abs(one - another) < 1e-3:
            tolerance = 1e-6
    assert found == pytest.approx(interval, rel=tolerance, abs=tolerance)


# --------------------------------------------------------------------------------- homework's game


def test_descent_ascent_multiplies_each_player_by_its_own_factor():
    run = minimax.simulate(HOMEWORK_GAME, "simultaneous", (1, -1), 1 / 16, 3 / 16, 40)
    powers = np.arange(41)
    np.testing.assert_array_equal(run.trajectory[:, 0], 0.5**powers)  # 1 - 8/16
    np.testing.assert_array_equal(run.trajectory[:, 1], -((-0.5) ** powers))  # 1 - 24/16
    assert run.diverged_at is None


def test_one_step_at_an_eighth_and_a_two_cycle_at_a_quarter():
    once = minimax.simulate(HOMEWORK_GAME, "simultaneous", (0.3, -0.7), 1 / 8, 1 / 8, 1)
    assert once.trajectory[1].tolist() == [0, 0]
    cycle = minimax.simulate(
        HOMEWORK_GAME, "simultaneous", (0.3, -0.7), 1 / 4, 1 / 4, 100
    ).trajectory
    np.testing.assert_array_equal(cycle[::2], np.tile([0.3, -0.7], (51, 1)))
    np.testing.assert_array_equal(cycle[1::2], np.tile([-0.3, 0.7], (50, 1)))


@pytest.mark.parametrize(
    "dynamics, high",
    [
        ("simultaneous", 1 / 4),
        ("alternating", 1 / 4),
        ("extragradient", 1 / 8),
        ("optimistic", 1 / 12),
        ("proximal", math.inf),
    ],
)
@pytest.mark.parametrize("player", ["x", "y", "both"])
def test_homework_ranges(dynamics, high, player):
    assert minimax.step_size_range(HOMEWORK_GAME, dynamics, player) == (
        0,
        pytest.approx(high, rel=1e-12),
    )


def test_homework_range_of_simultaneous_is_exact():
    for player in ("x", "y", "both"):
        assert minimax.step_size_range(HOMEWORK_GAME, "simultaneous", player) == (0.0, 0.25)


def test_homework_rates():
    for step in (0.01, 0.05, 1 / 16, 0.08, 0.2):
        assert rate(HOMEWORK_GAME, "simultaneous", step) == close(abs(1 - 8 * step))
        assert rate(HOMEWORK_GAME, "extragradient", step) == close(1 - 8 * step + 64 * step**2)
        assert rate(HOMEWORK_GAME, "proximal", step) == close(1 / (1 + 8 * step))
    assert rate(HOMEWORK_GAME, "extragradient", 1 / 16) == 0.75
    assert (
        rate(HOMEWORK_GAME, "extragradient", 1 / 16 - 1e-3)
        > 0.75
        < rate(HOMEWORK_GAME, "extragradient", 1 / 16 + 1e-3)
    )


def test_descent_on_both_diverges_but_from_y_0():
    assert minimax.step_size_range(HOMEWORK_GAME, "descent_on_both", "x")[1] == pytest.approx(
        0.25, rel=1e-12
    )
    assert minimax.step_size_range(HOMEWORK_GAME, "descent_on_both", "y") is None
    run = minimax.simulate(HOMEWORK_GAME, "descent_on_both", (1, 1), 1 / 8, 1 / 8, 1000)
    np.testing.assert_array_equal(
        run.trajectory[:, 1], 2.0 ** np.arange(100)
    )  # 2^99 < 1e30 < 2^100
    assert run.diverged_at == 100
    for step_y in (1e-3, 1.0, 1e3):
        final = {
            step_x: minimax.simulate(HOMEWORK_GAME, "descent_on_both", (1, 0), step_x, step_y, 400)
            for step_x in (0.249, 0.25, 0.251)
        }
        assert abs(final[0.249].trajectory[-1, 0]) < 0.05
        assert abs(final[0.25].trajectory[-1, 0]) == 1
        assert abs(final[0.251].trajectory[-1, 0]) > 20
        assert all(not run.trajectory[:, 1].any() for run in final.values())


@quickly
@given(curvatures, curvatures, step_sizes, step_sizes)
def test_without_coupling_alternating_is_simultaneous(a, b, step_x, step_y):
    runs = [
        minimax.simulate(QuadraticGame(a, b, 0), dynamics, (1, 0.7), step_x, step_y, 20).trajectory
        for dynamics in ("simultaneous", "alternating")
    ]
    np.testing.assert_array_equal(*runs)


def test_f_stays_0_whether_the_players_converge_or_diverge():
    for start in ((1, 1), (1, -1)):
        for step_size, ends in ((3 / 16, "near"), (5 / 16, "far")):
            run = minimax.simulate(
                HOMEWORK_GAME, "simultaneous", start, step_size, step_size, 60
            ).trajectory
            assert not HOMEWORK_GAME.value(*run.T).any()
            gap = HOMEWORK_GAME.duality_gap(*run.T)
            np.testing.assert_array_equal(gap, 4 * (run**2).sum(axis=1))
            assert gap[-1] < 1e-30 if ends == "near" else gap[-1] > 1e15
    # It takes equal step sizes: |x| = |y| is lost otherwise.
    run = minimax.simulate(HOMEWORK_GAME, "simultaneous", (1, 1), 1 / 16, 3 / 32, 3).trajectory
    assert HOMEWORK_GAME.value(*run.T)[1:].all()


# ------------------------------------------------------------------------------- f = xy and c = 8


def test_bilinear_rates():
    for step in (0.1, 0.5, 0.9, 1.5, 1.9):
        assert rate(BILINEAR_GAME, "simultaneous", step) == close(math.sqrt(1 + step**2))
        assert rate(BILINEAR_GAME, "alternating", step) == close(1)
        assert rate(BILINEAR_GAME, "extragradient", step) == close(math.sqrt(1 - step**2 + step**4))
        assert rate(BILINEAR_GAME, "proximal", step) == close(1 / math.sqrt(1 + step**2))
    assert rate(BILINEAR_GAME, "alternating", 2.01) > 1.1
    best = 1 / math.sqrt(2)
    assert rate(BILINEAR_GAME, "extragradient", best) == close(math.sqrt(3) / 2)
    assert rate(BILINEAR_GAME, "extragradient", best - 0.01) > rate(
        BILINEAR_GAME, "extragradient", best
    )
    assert rate(BILINEAR_GAME, "extragradient", best + 0.01) > rate(
        BILINEAR_GAME, "extragradient", best
    )


def test_bilinear_ranges():
    for dynamics, interval in {
        "simultaneous": None,
        "alternating": None,  # it keeps its distance, which is not converging
        "extragradient": (0, pytest.approx(1, abs=1e-9)),
        "optimistic": (0, pytest.approx(1 / math.sqrt(3), abs=1e-9)),
        "proximal": (0, math.inf),
    }.items():
        assert minimax.step_size_range(BILINEAR_GAME, dynamics, "both") == interval


@quickly
@given(st.floats(0.05, 1.95))
def test_alternating_conserves_its_ellipse(step):
    x, y = minimax.simulate(BILINEAR_GAME, "alternating", (1, 0.3), step, step, 200).trajectory.T
    conserved = x**2 + y**2 - step * x * y
    np.testing.assert_allclose(conserved, conserved[0], rtol=1e-9)


@quickly
@given(couplings)
def test_coupled_game_converges_below_16_over_64_plus_c_squared(c):
    game = QuadraticGame(4, 4, c)
    expected = [-8 - 1j * abs(c), -8 + 1j * abs(c)]
    found = np.linalg.eigvals(-game.jacobian).astype(complex)
    np.testing.assert_allclose(sorted(found, key=lambda value: value.imag), expected, atol=1e-9)
    low, high = minimax.step_size_range(game, "simultaneous", "both")
    assert (low, high) == (0, pytest.approx(16 / (64 + c * c), rel=1e-12))
    assert rate(game, "simultaneous", high * 0.999) < 1 < rate(game, "simultaneous", high * 1.001)


def test_best_rates_at_c_8():
    assert rate(ROTATING_GAME, "simultaneous", 1 / 16) == close(1 / math.sqrt(2))
    steps = np.linspace(0.001, 0.125, 1000)
    assert (
        min(rate(ROTATING_GAME, "simultaneous", step) for step in steps) >= 1 / math.sqrt(2) - 1e-9
    )

    best = (math.sqrt(2) - 1) / 4
    assert best == pytest.approx(0.104, abs=5e-4)
    # At the best step the two eigenvalues meet, and a double eigenvalue is known to 1e-8 at most.
    # So check what makes them meet: trace^2 = 4 determinant, and the determinant is the rate
    # squared.
    matrix = minimax.update_matrix(ROTATING_GAME, "alternating", best, best)
    assert np.trace(matrix) ** 2 == close(4 * np.linalg.det(matrix))
    assert math.sqrt(np.linalg.det(matrix)) == close(3 - 2 * math.sqrt(2))
    assert rate(ROTATING_GAME, "alternating", best) == pytest.approx(0.1716, abs=1e-4)
    assert min(rate(ROTATING_GAME, "alternating", step) for step in steps) >= 3 - 2 * math.sqrt(2)


# ------------------------------------------------------------------------------------ measured rate


def synthetic(*modes):
    """[60, 2]: the sum over (rate, angle, degree) of t^degree rate^t, turning by angle per step."""
    t = np.arange(60.0)
    return sum(
        (t**degree * factor**t)[:, None]
        * np.stack([np.cos(t * angle + 1), np.sin(t * angle + 1)], axis=1)
        for factor, angle, degree in modes
    )


@pytest.mark.parametrize(
    "modes, expected",
    [
        ([(0.9, 0.0, 0)], 0.9),
        ([(0.97, 0.71, 0)], 0.97),  # a spiral
        ([(0.8, 0.0, 0), (0.8, 0.0, 1)], 0.8),  # defective: the distance is t 0.8^t
        ([(0.95, 0.0, 0), (0.94, math.pi, 0)], 0.95),  # two modes almost equally slow
        ([(1.3, 0.2, 0)], 1.3),
        ([(1.0, 0.4, 0)], 1.0),
    ],
)
def test_measured_rate_of_known_sequences(modes, expected):
    assert minimax.measured_rate(synthetic(*modes)) == pytest.approx(expected, abs=1e-6)


def test_measured_rate_is_the_plain_ratio_of_distances_where_that_is_one_number():
    run = minimax.simulate(HOMEWORK_GAME, "proximal", (1, 1), 0.1, 0.1, 50).trajectory
    distance = np.hypot(*run.T)
    np.testing.assert_allclose(distance[1:] / distance[:-1], minimax.measured_rate(run), atol=1e-9)


def test_measured_rate_belongs_to_the_run():
    # Plain descent diverges, but not from y = 0, and that is what there is to measure.
    run = minimax.simulate(HOMEWORK_GAME, "descent_on_both", (1, 0), 1 / 16, 1 / 16, 50).trajectory
    assert minimax.measured_rate(run) == close(0.5)
    assert minimax.predicted_rate(HOMEWORK_GAME, "descent_on_both", 1 / 16, 1 / 16) == 1.5


def test_nothing_to_measure():
    assert minimax.measured_rate(np.zeros((50, 2))) is None
    assert minimax.measured_rate(np.ones((5, 2))) is None
    assert minimax.measured_rate(np.ones((1, 2))) is None


def test_rate_of_a_run_that_arrives_is_0():
    run = minimax.simulate(HOMEWORK_GAME, "simultaneous", (1, 1), 1 / 8, 1 / 8, 50).trajectory
    assert minimax.measured_rate(run) == 0


# ---------------------------------------------------------------------------------------- running


def test_a_diverging_run_says_where_it_stopped():
    run = minimax.simulate(HOMEWORK_GAME, "simultaneous", (1, 1), 10, 1 / 8, minimax.MAX_STEPS)
    stopped = next(step for step in range(100) if 79**step > 10**30)  # 1 - 8 * 10 = -79
    assert run.diverged_at == stopped
    assert run.trajectory.shape == (stopped, 2)
    assert np.abs(run.trajectory).max() <= minimax.DIVERGENCE_BOUND


@pytest.mark.parametrize("not_finite", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_ends_the_run(not_finite):
    game = Game(lambda x, y: x, lambda x, y: not_finite if y > 2 else 1.0)
    run = minimax.simulate(game, "simultaneous", (1, 1), 0.5, 0.5, 100)  # y: 1, 1.5, 2, 2.5, -
    assert run.diverged_at == 4
    assert run.trajectory[:, 1].tolist() == [1, 1.5, 2, 2.5]


@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_the_widest_arguments_neither_warn_nor_overflow(dynamics):
    game = QuadraticGame(1e15, 1e-15, 1e15)
    run = minimax.simulate(game, dynamics, (1e30, -1e30), 1e100, 1e100, 10)
    assert np.isfinite(run.trajectory).all()
    assert (run.diverged_at is None) == (dynamics == "proximal")


def test_dynamics_play_a_game_given_by_two_gradients():
    # f = x^4 + 3xy - y^4; NumPy functions, whose overflow would warn
    game = Game(
        lambda x, y: np.power(4.0 * x, 3) / 16 + 3 * y, lambda x, y: 3 * x - 4 * np.float64(y) ** 3
    )
    run = minimax.simulate(game, "alternating", (1, 1), 0.125, 0.125, 1)
    x = 1 - 0.125 * (4 + 3)
    assert run.trajectory[1].tolist() == [x, 1 + 0.125 * (3 * x - 4)]
    for dynamics in set(DYNAMICS) - {"proximal"}:
        run = minimax.simulate(game, dynamics, (3, 3), 10, 10, 100)
        assert run.diverged_at is not None and np.isfinite(run.trajectory).all()
    with pytest.raises(UserError, match="QuadraticGame"):
        minimax.simulate(game, "proximal", (1, 1), 0.1, 0.1, 1)


def test_optimistic_uses_the_gradient_before():
    x0, step = 1.0, 1 / 16
    x1 = x0 - step * 8 * x0  # nothing before the first step: a simultaneous step
    x2 = x1 - step * (2 * 8 * x1 - 8 * x0)
    run = minimax.simulate(HOMEWORK_GAME, "optimistic", (x0, 0), step, step, 2)
    assert run.trajectory[:, 0].tolist() == [x0, x1, x2]


def test_a_trajectory_shares_no_memory():
    start = np.array([1.0, 1.0])
    first = minimax.simulate(HOMEWORK_GAME, "simultaneous", start, 1 / 16, 1 / 16, 5).trajectory
    first[:] = 7
    second = minimax.simulate(HOMEWORK_GAME, "simultaneous", start, 1 / 16, 1 / 16, 5).trajectory
    assert start.tolist() == [1, 1]
    assert second.shape == (6, 2) and second.dtype == np.float64
    assert second[1].tolist() == [0.5, 0.5]
    diverged = minimax.simulate(HOMEWORK_GAME, "simultaneous", start, 10, 10, 500).trajectory
    assert diverged.base is None  # not a view of the 500 rows that were made room for


@pytest.mark.parametrize(
    "wrong, name",
    [
        *[({"step_x": value}, "step_x") for value in (0, -0.1, math.nan, math.inf, 1e101)],
        *[({"step_y": value}, "step_y") for value in (0.0, -1, math.nan, -math.inf)],
        *[({"steps": value}, "steps") for value in (0, -3, 2.5, True, minimax.MAX_STEPS + 1)],
        *[({"start": value}, "start") for value in ((math.nan, 0), (0, math.inf), (1,), (2e30, 0))],
    ],
)
def test_bad_arguments_are_named(wrong, name):
    arguments = {"start": (1, 1), "step_x": 0.1, "step_y": 0.1, "steps": 3} | wrong
    for function in (
        lambda: minimax.simulate(HOMEWORK_GAME, "simultaneous", **arguments),
        lambda: answers.report(HOMEWORK_GAME, **arguments),
    ):
        with pytest.raises(UserError, match=f"^`{name}`: ") as raised:
            function()
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "coefficients", [(math.nan, 1, 0), (1, math.inf, 0), (1, 1, 1e16), (1e-16, 1, 0)]
)
def test_bad_games_are_named(coefficients):
    with pytest.raises(UserError, match="^`game`: "):
        QuadraticGame(*coefficients)


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="extragradient"):
        minimax.simulate(HOMEWORK_GAME, "sideways", (1, 1), 0.1, 0.1, 1)
    with pytest.raises(UserError, match="x, y or both"):
        minimax.step_size_range(HOMEWORK_GAME, "simultaneous", "z")
    with pytest.raises(UserError, match="other_step"):
        minimax.step_size_range(ROTATING_GAME, "simultaneous", "x")
    with pytest.raises(UserError, match="proximal point"):
        minimax.update_matrix(QuadraticGame(-4, 4), "proximal", 0.25, 0.25)


@pytest.mark.parametrize(
    "game, text",
    [
        (QuadraticGame(4, 4, -1), "4 x^2 - xy - 4 y^2"),
        (QuadraticGame(-1, 0, 2.5), "-x^2 + 2.5 xy"),
        (QuadraticGame(0, -1, 1), "xy + y^2"),
    ],
)
def test_formula(game, text):
    assert minimax.formula(game) == text


def test_needs_numpy_alone():
    code = (
        "import sys, gan_tf.minimax; "
        "print({'tensorflow', 'matplotlib', 'scipy', 'imageio'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
