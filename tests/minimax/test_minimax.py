"""gan_tf.minimax against closed forms, and against the same arithmetic in 400 digits."""

import decimal
import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_tf import minimax
from gan_tf.minimax import BILINEAR_GAME, DYNAMICS, HOMEWORK_GAME, QuadraticGame
from gan_tf.minimax.games import typeset
from gan_tf.system.errors import UserError

pytestmark = pytest.mark.filterwarnings("error")

XY, COUPLED = BILINEAR_GAME, QuadraticGame(4.0, 4.0, 8.0)
ROOT_HALF = 0.5**0.5
GENERIC_START = (math.cos(1), math.sin(1))  # on no eigenvector of the games below


def powers_of_ten(low, high):
    return st.floats(low, high).map(lambda exponent: 10.0**exponent)


def any_sign(sizes):
    return st.one_of(st.just(0.0), sizes, sizes.map(lambda size: -size))


def games_of(sizes):
    curvatures = st.one_of(st.just(0.0), sizes)
    coefficients = st.tuples(curvatures, curvatures, any_sign(sizes))
    return coefficients.filter(lambda v: v[2] or v[0] * v[1]).map(lambda v: QuadraticGame(*v))


step_sizes = st.floats(0.005, 1)
any_games = games_of(st.floats(0.05, 8))
wide_games = games_of(powers_of_ten(-15, 15))
wide_step_sizes = powers_of_ten(-100, 100)


def close(value):
    return pytest.approx(value, rel=0, abs=1e-9)


def rate(game, dynamics, step_size):
    return minimax.predicted_rate(game, dynamics, step_size, step_size)


class Exact(QuadraticGame):
    """A game in 400 digits, with exponents of any size."""

    def __init__(self, game):
        for name in "abc":
            object.__setattr__(self, name, Decimal(getattr(game, name)))

    def matrix(self, dynamics, step_x, step_y):
        steps, zero, one = (Decimal(step_x), Decimal(step_y)), Decimal(0), Decimal(1)
        columns = [DYNAMICS[dynamics](self, *unit, *steps) for unit in ((one, zero), (zero, one))]
        return np.array(columns, dtype=object).T

    def converges(self, step_x, step_y, player="both"):
        """Whether runs of descent/ascent end close to the origin."""
        players = {"x": [0], "y": [1], "both": [0, 1]}[player]  # one alone if c = 0
        matrix = self.matrix("simultaneous", step_x, step_y)[players][:, players]
        return max(map(abs, doubled(matrix, Decimal("1e20")).ravel())) < Decimal("1e-20")


def doubled(matrix, far):
    """A matrix to the power of 2^n, such that it is very small or very large, or n is 500."""
    for _ in range(500):
        if not 1 / far < max(map(abs, matrix.ravel())) < far:
            break
        matrix = matrix @ matrix
    return matrix


@pytest.fixture(autouse=True)
def many_digits():
    with decimal.localcontext(prec=400, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN):
        yield


@settings(deadline=None, max_examples=60)
@given(any_games, st.floats(-3, 3), st.floats(-3, 3))
def test_gradients_are_the_derivatives_of_f(game, x, y):
    h = 0.5  # central differences are exact for a quadratic function, except for rounding
    assert game.gradient_x(x, y) == close(game.value(x + h, y) - game.value(x - h, y))
    assert game.gradient_y(x, y) == close(game.value(x, y + h) - game.value(x, y - h))


@pytest.mark.parametrize(
    "coefficients",
    [(0, 0, 0), (4, 0, 0), (-0.1, 1, 2), (1, -1, 0), (math.nan, 1, 0), (1, math.inf, 0)]
    + [(1, 1, 1e16), (1e-16, 1, 0), (10**5000, 1, 0), ("4", 4, 0), (None, 4, 0)],
)
def test_bad_games_are_named(coefficients):
    with pytest.raises(UserError, match="^`game`: "):
        QuadraticGame(*coefficients)


def test_formulas_for_a_terminal_and_for_a_page():
    for game, text, page in (
        (QuadraticGame(4, 4, -1), "4 x^2 - xy - 4 y^2", "4x² − xy − 4y²"),
        (QuadraticGame(1, 0, 2.5), "x^2 + 2.5 xy", "x² + 2.5xy"),
        (QuadraticGame(0, 1e-9, 1), "xy - 1e-09 y^2", "xy − 1·10⁻⁹ y²"),
    ):
        assert minimax.formula(game) == text
        assert typeset(text) == page
    assert typeset("y0 <- non-zero, step_x <= -8 y, 2e+30") == "y₀ ← non-zero, η_x ≤ −8y, 2·10³⁰"


# --------------------------------------------------------------------- a step and its eigenvalues


@settings(deadline=None, max_examples=60)
@given(any_games, st.sampled_from(sorted(DYNAMICS)), step_sizes, step_sizes)
def test_a_step_is_the_matrix_of_the_docs_and_its_rate_is_measured(game, dynamics, step_x, step_y):
    one = np.eye(2)
    scaled = np.diag([step_x, -step_y]) @ game.hessian  # E J
    expected = {
        "simultaneous": one - scaled,
        "alternating": (one - np.diag([0, 1]) @ scaled) @ (one - np.diag([1, 0]) @ scaled),
        "descent_on_both": one - np.diag([step_x, step_y]) @ game.hessian,
        "extragradient": one - scaled @ (one - scaled),
    }[dynamics]
    found = minimax.update_matrix(game, dynamics, step_x, step_y)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    run = minimax.simulate(game, dynamics, GENERIC_START, step_x, step_y, 2)
    np.testing.assert_allclose(run[1:], run[:-1] @ found.T, rtol=1e-9, atol=1e-9)
    predicted = minimax.predicted_rate(game, dynamics, [step_x, 1.0], [step_y, 1.0])
    assert predicted[0] == minimax.predicted_rate(game, dynamics, step_x, step_y)
    run = minimax.simulate(game, dynamics, GENERIC_START, step_x, step_y, 60)
    assert minimax.measured_rate(run) == pytest.approx(predicted[0], rel=1e-6, abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(wide_games)
def test_runs_without_rounding_converge_below_the_limits_alone(game):
    exact = Exact(game)
    for player, limit in minimax.step_size_limits(game).items():
        if limit == 0:
            assert game.a == game.b == 0
            assert not any(exact.converges(10.0**e, 10.0**e) for e in range(-24, 25, 4))
            continue
        for part, converges in ((1e-3, True), (1 - 1e-5, True), (1 + 1e-5, False)):
            assert exact.converges(part * limit, part * limit, player) == converges


def test_measured_rate_belongs_to_the_run():
    # Plain descent diverges, but not from y = 0, and this is what the run shows.
    run = minimax.simulate(HOMEWORK_GAME, "descent_on_both", (1, 0), 1 / 16, 1 / 16, 50)
    assert minimax.measured_rate(run) == close(0.5)
    arrives = minimax.simulate(HOMEWORK_GAME, "simultaneous", (1, 1), 1 / 8, 1 / 8, 50)
    assert minimax.measured_rate(arrives) == 0
    for nothing_to_measure in (np.zeros((50, 2)), np.ones((2, 2)), np.ones((1, 2))):
        assert minimax.measured_rate(nothing_to_measure) is None


# ------------------------------------------------------- the assignment's game, and docs/minimax.md


@pytest.mark.parametrize(
    "game, dynamics, formula, end, best, lowest",
    [
        (HOMEWORK_GAME, "simultaneous", lambda e: abs(1 - 8 * e), 1 / 4, 1 / 8, 0),
        (HOMEWORK_GAME, "alternating", lambda e: abs(1 - 8 * e), 1 / 4, 1 / 8, 0),
        (HOMEWORK_GAME, "descent_on_both", lambda e: 1 + 8 * e, 0, 0, 1),
        (HOMEWORK_GAME, "extragradient", lambda e: 1 - 8 * e + 64 * e**2, 1 / 8, 1 / 16, 3 / 4),
        (XY, "simultaneous", lambda e: np.hypot(1, e), 0, 0, 1),
        (XY, "alternating", lambda e: e**0, 1, 1, 1),
        (XY, "extragradient", lambda e: np.sqrt(1 - e**2 + e**4), 1, ROOT_HALF, 0.75**0.5),
        (COUPLED, "simultaneous", lambda e: np.hypot(1 - 8 * e, 8 * e), 1 / 8, 1 / 16, ROOT_HALF),
    ],
)
def test_rates_limits_and_best_steps_of_the_docs(game, dynamics, formula, end, best, lowest):
    steps = np.linspace(0.001, 0.999, 999)
    rates = rate(game, dynamics, steps)
    np.testing.assert_allclose(rates, formula(steps), rtol=0, atol=1e-7)
    assert rate(game, dynamics, best) == close(lowest) and rates.min() >= lowest - 1e-9
    if lowest < 1:
        assert ((rates < 1) == (steps < end)).all()


def test_one_of_two_unequal_step_sizes_may_be_above_the_limit():
    assert minimax.step_size_limits(COUPLED) == {"both": 0.125}
    assert minimax.predicted_rate(COUPLED, "simultaneous", 0.24, 0.05) == pytest.approx(
        0.465, abs=5e-4
    )


def test_alternating_updates_keep_to_an_ellipse_or_leave_slowly():
    run = minimax.simulate(XY, "alternating", (1, 0), 1.5, 1.5, 1000)
    x, y = run.T
    np.testing.assert_allclose(x**2 + y**2 - 1.5 * x * y, 1, atol=1e-9)
    assert [np.hypot(x, y).min(), np.hypot(x, y).max()] == pytest.approx([0.756, 2], abs=1e-3)
    # At step size 2 both eigenvalues are -1, and the distance grows.
    assert rate(XY, "alternating", 2.0) == pytest.approx(1)
    run = minimax.simulate(XY, "alternating", (1, 0), 2, 2, 50)
    np.testing.assert_allclose(np.diff(np.hypot(*run.T))[5:], math.sqrt(8), rtol=0.02)


# ------------------------------------------------------------------------------- runs and arguments


def test_a_diverging_run_reports_where_it_stopped():
    run = minimax.simulate(HOMEWORK_GAME, "simultaneous", (1, 1), 10, 1 / 8, minimax.MAX_STEPS)
    assert 79**15 < minimax.DIVERGENCE_BOUND < 79**16  # 1 - 8 * 10 = -79
    assert run.shape == (16, 2)
    assert run[-1, 0] == pytest.approx(-(79**15))


@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_the_widest_arguments_neither_warn_nor_overflow(dynamics):
    game = QuadraticGame(1e15, 1e-15, 1e15)
    run = minimax.simulate(game, dynamics, (1e30, -1e30), 1e100, 1e100, 10)
    assert run.tolist() == [[1e30, -1e30]]
    run = minimax.simulate(game, dynamics, (1e-30, 0), 1e-100, 1e-100, 10)
    assert run.tolist() == [[1e-30, 0]] + [[1e-30, pytest.approx(0)]] * 10


@pytest.mark.parametrize(
    "wrong, name",
    [
        *[({"step_x": value}, "step_x") for value in (0, -0.1, math.nan, 1e101, 10**5000, "x")],
        *[({"step_y": value}, "step_y") for value in (-math.inf, 1e-101, None)],
        *[({"steps": value}, "steps") for value in (0, -3, 2.5, True, 10_001, 10**5000)],
        *[({"start": value}, "start") for value in ((math.nan, 0), (0, math.inf), (1,), (2e30, 0))],
        *[({"start": value}, "start") for value in ((1e-200, 0), (10**5000, 0), 1, ("1", "2"))],
        ({"dynamics": "sideways"}, "dynamics"),
    ],
)
def test_bad_arguments_are_named(wrong, name):
    arguments = {"start": (1, 1), "step_x": 0.1, "step_y": 0.1, "steps": 3} | wrong
    with pytest.raises(UserError, match=f"^`{name}`: .*$"):
        minimax.simulate(HOMEWORK_GAME, **{"dynamics": "simultaneous"} | arguments)
