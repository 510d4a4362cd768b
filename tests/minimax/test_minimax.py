"""gan_tf.minimax against closed forms, and against the same arithmetic in 400 digits."""

import decimal
import math
import subprocess
import sys
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gan_tf import minimax
from gan_tf.minimax import BILINEAR_GAME, DYNAMICS, HOMEWORK_GAME, QuadraticGame, answers
from gan_tf.minimax.games import typeset
from gan_tf.minimax.theory import verdict
from gan_tf.system.errors import UserError

pytestmark = pytest.mark.filterwarnings("error")

ROTATING_GAME = QuadraticGame(4.0, 4.0, 8.0)
GENERIC_START = (math.cos(1), math.sin(1))  # on no eigenvector of the games below

quickly = settings(deadline=None, max_examples=60)


def powers_of_ten(low, high):
    return st.floats(low, high).map(lambda exponent: 10.0**exponent)


def games_of(*coefficients):
    """Games whose 4ab + c^2 is not close to 0, where what follows is ill-conditioned."""

    def well_conditioned(values):
        a, b, c = values
        return abs(4 * a * b + c * c) > 1e-6 * (abs(4 * a * b) + c * c)

    return st.tuples(*coefficients).filter(well_conditioned).map(lambda v: QuadraticGame(*v))


def any_sign(sizes):
    return st.one_of(st.just(0.0), sizes, sizes.map(lambda size: -size))


step_sizes = st.floats(0.005, 1)
saddle_games = games_of(st.floats(0.05, 8), st.floats(0.05, 8), any_sign(st.floats(0.05, 8)))
any_games = games_of(*[any_sign(st.floats(0.05, 8))] * 3)
wide_games = games_of(*[any_sign(powers_of_ten(-15, 15))] * 3)
wide_step_sizes = powers_of_ten(-100, 100)


def close(value):
    return pytest.approx(value, rel=0, abs=1e-9)


def rate(game, dynamics, step_size):
    return minimax.predicted_rate(game, dynamics, step_size, step_size)


class Exact:
    """A game, and runs of it, in 400 digits; exponents of any size."""

    def __init__(self, game):
        self.a, self.b, self.c = map(Decimal, (game.a, game.b, game.c))

    def value(self, x, y):
        return self.a * x * x + self.c * x * y - self.b * y * y

    def gradient_x(self, x, y):
        return 2 * self.a * x + self.c * y

    def gradient_y(self, x, y):
        return self.c * x - 2 * self.b * y

    def matrix(self, dynamics, step_x, step_y):
        """Where a step takes the unit vectors of the point and of the point before."""
        unit = np.array([[Decimal(i == j) for j in range(4)] for i in range(4)], dtype=object)
        steps = Decimal(step_x), Decimal(step_y)
        moved = [DYNAMICS[dynamics](self, e[:2], e[2:], *steps) for e in unit]
        return np.vstack([np.array(moved, dtype=object).T, unit[:2]])

    def power(self, dynamics, step_x, step_y, doublings):
        """The matrix of 2 ** doublings steps."""
        matrix = self.matrix(dynamics, step_x, step_y)
        for _ in range(doublings):
            matrix = matrix @ matrix
        return matrix

    def rate(self, dynamics, step_x, step_y):
        """Gelfand's limit of |M^n|^(1/n)."""
        largest = max(map(abs, self.power(dynamics, step_x, step_y, 40).ravel()))
        return float((largest.ln() / 2**40).exp()) if largest else 0.0

    def converges(self, dynamics, step_x, step_y, player=None):
        """Whether runs end near the origin rather than far away, or never leave either."""
        matrix = self.matrix(dynamics, step_x, step_y)[:2, :2]
        if player:  # alone, where there is no coupling
            matrix = matrix[["xy".index(player)]][:, ["xy".index(player)]]
        for _ in range(500):  # doublings
            largest = max(map(abs, matrix.ravel()))
            if not Decimal("1e-20") < largest < Decimal("1e220"):
                return largest < 1
            matrix = matrix @ matrix
        return False


@pytest.fixture(autouse=True)
def many_digits():
    with decimal.localcontext(prec=400, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN):
        yield


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


@quickly
@given(any_games)
def test_what_the_origin_is_follows_from_the_values_of_f(game):
    away = np.linspace(-2, 2, 9)
    nobody_gains = np.all(game.value(away, 0) >= 0) and np.all(game.value(0, away) <= 0)
    assert game.is_minimax == nobody_gains
    signs = np.sign(np.linalg.eigvalsh(game.hessian))
    assert {"minimum": 2, "saddle": 0, "maximum": -2}[game.surface] == signs.sum()


@pytest.mark.parametrize(
    "coefficients",
    [(0, 0, 0), (4, 0, 0), (1, -1, 2), (-0.1, 0.1, 0.2)]
    + [(math.nan, 1, 0), (1, math.inf, 0), (1, 1, 1e16), (1e-16, 1, 0), (10**5000, 1, 0)]
    + [("4", 4, 0), (None, 4, 0)],
)
def test_bad_games_are_named(coefficients):
    with pytest.raises(UserError, match="^`game`: "):
        QuadraticGame(*coefficients)


@quickly
@given(saddle_games, st.floats(-2, 2), st.floats(-2, 2))
def test_duality_gap_is_best_reply_against_best_reply(game, x, y):
    gap = game.duality_gap(x, y)
    best_y, best_x = game.c * x / (2 * game.b), -game.c * y / (2 * game.a)
    assert gap == pytest.approx(game.value(x, best_y) - game.value(best_x, y), abs=1e-9, rel=1e-9)
    for other in (-1.0, 0.3, 2.0):  # no reply does better than the best
        assert game.value(x, best_y + other) - game.value(best_x + other, y) < gap
    assert game.duality_gap(0, 0) == 0
    assert QuadraticGame(-game.a, game.b, 9).duality_gap(x, y) is None
    assert BILINEAR_GAME.duality_gap(x, y) is None


def test_formulas_for_a_terminal_and_for_a_page():
    for game, text, printed in (
        (QuadraticGame(4, 4, -1), "4 x^2 - xy - 4 y^2", "4x² − xy − 4y²"),
        (QuadraticGame(-1, 0, 2.5), "-x^2 + 2.5 xy", "−x² + 2.5xy"),
        (QuadraticGame(0, -1e-9, 1), "xy + 1e-09 y^2", "xy + 1·10⁻⁹ y²"),
    ):
        assert minimax.formula(game) == text
        assert typeset(text) == printed
    assert typeset("y0 <- non-zero, step_x <= -8 y, 2e+30") == "y₀ ← non-zero, η_x ≤ −8y, 2·10³⁰"


# ------------------------------------------------------------- a step, its matrix, and what follows


@quickly
@given(any_games, st.sampled_from(sorted(DYNAMICS)), step_sizes, step_sizes)
def test_a_step_is_the_matrix_of_the_table_in_the_docs(game, dynamics, step_x, step_y):
    one, nothing = np.eye(2), np.zeros((2, 2))
    scaled = np.diag([step_x, -step_y]) @ game.hessian  # E J
    expected = {
        "simultaneous": one - scaled,
        "alternating": (one - np.diag([0, 1]) @ scaled) @ (one - np.diag([1, 0]) @ scaled),
        "descent_on_both": one - np.diag([step_x, step_y]) @ game.hessian,
        "extragradient": one - scaled @ (one - scaled),
        "optimistic": np.block([[one - 2 * scaled, scaled], [one, nothing]]),
    }[dynamics]
    found = minimax.update_matrix(game, dynamics, step_x, step_y)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    run = minimax.simulate(game, dynamics, GENERIC_START, step_x, step_y, 2).trajectory
    state = np.concatenate([run[1], run[0]])[: len(found)]
    np.testing.assert_allclose((found @ state)[:2], run[2], rtol=1e-9, atol=1e-9)
    # Before the first step the point before is the point: an optimistic step is a simultaneous one.
    state = np.array([*GENERIC_START, *GENERIC_START])[: len(found)]
    np.testing.assert_allclose((found @ state)[:2], run[1], rtol=1e-9, atol=1e-9)
    many = minimax.update_matrix(game, dynamics, [step_x, 1.0], [step_y, 1.0])
    np.testing.assert_array_equal(many[0], found)
    assert minimax.predicted_rate(game, dynamics, [step_x], [step_y]).shape == (1,)


@settings(deadline=None, max_examples=100)
@given(wide_games, st.sampled_from(sorted(DYNAMICS)), wide_step_sizes, wide_step_sizes)
def test_the_predicted_rate_is_that_of_a_run_without_rounding(game, dynamics, step_x, step_y):
    expected = Exact(game).rate(dynamics, step_x, step_y)
    found = minimax.predicted_rate(game, dynamics, step_x, step_y)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


@settings(deadline=None, max_examples=100)
@given(saddle_games, st.sampled_from(sorted(DYNAMICS)), step_sizes, step_sizes)
def test_measured_rate_is_the_predicted_rate(game, dynamics, step_x, step_y):
    predicted = minimax.predicted_rate(game, dynamics, step_x, step_y)
    assume(predicted < 1)
    run = minimax.simulate(game, dynamics, GENERIC_START, step_x, step_y, 60)
    assert minimax.measured_rate(run.trajectory) == pytest.approx(predicted, rel=0, abs=1e-6)


@settings(deadline=None, max_examples=100)
@given(wide_games, st.sampled_from(["x", "y", "both"]), powers_of_ten(-20, 20))
def test_runs_without_rounding_converge_within_the_range_alone(game, player, other):
    interval = minimax.step_size_range(game, player, other)
    alone = player if game.c == 0 and player != "both" else None

    def converges(step):
        steps = {"x": (step, other), "y": (other, step), "both": (step, step)}[player]
        return Exact(game).converges("simultaneous", *steps, alone)

    if interval is None:
        assert not any(converges(10.0**exponent) for exponent in range(-24, 25, 4))
        return
    low, high = interval
    assume(high - low > 1e-6 * high)
    inside = 1e-5 * (high - low)
    assert converges(low + inside) and converges(high - inside)
    assert not converges(high + inside) and (low == 0 or not converges(low - inside))


def test_a_verdict_agrees_with_the_digits_beside_it():
    words = [verdict(rate) for rate in (0.0, 0.9999, 0.99999, 1.0, 1.00001, 1.001, 1e300)]
    assert words == ["converges"] * 2 + ["on the border"] * 3 + ["diverges"] * 2


# ---------------------------------------------------------------------------- the assignment's game


def test_descent_ascent_multiplies_each_player_by_its_own_factor():
    """1 - 8 step, in arithmetic that is exact here: at 1/8 there in one step, at 1/4 a cycle."""
    for step_x, step_y in ((1 / 16, 3 / 16), (1 / 8, 1 / 4), (1 / 4, 1 / 8)):
        run = minimax.simulate(HOMEWORK_GAME, "simultaneous", (1, -0.75), step_x, step_y, 40)
        powers = np.arange(41)
        np.testing.assert_array_equal(run.trajectory[:, 0], (1 - 8 * step_x) ** powers)
        np.testing.assert_array_equal(run.trajectory[:, 1], -0.75 * (1 - 8 * step_y) ** powers)
        assert run.diverged_at is None
    for player in ("x", "y", "both"):
        assert minimax.step_size_range(HOMEWORK_GAME, player) == (0.0, 0.25)


# --------------------------------------------------------------------- what docs/minimax.md proves


@pytest.mark.parametrize(
    "game, dynamics, formula, end",
    [
        (HOMEWORK_GAME, "simultaneous", lambda e: abs(1 - 8 * e), 1 / 4),
        (HOMEWORK_GAME, "alternating", lambda e: abs(1 - 8 * e), 1 / 4),
        (HOMEWORK_GAME, "descent_on_both", lambda e: 1 + 8 * e, None),
        (HOMEWORK_GAME, "extragradient", lambda e: 1 - 8 * e + 64 * e**2, 1 / 8),
        (HOMEWORK_GAME, "optimistic", None, 1 / 12),
        (BILINEAR_GAME, "simultaneous", lambda e: math.hypot(1, e), None),
        (BILINEAR_GAME, "alternating", lambda e: 1, None),
        (BILINEAR_GAME, "extragradient", lambda e: math.sqrt(1 - e**2 + e**4), 1),
        (BILINEAR_GAME, "optimistic", None, 1 / math.sqrt(3)),
        (ROTATING_GAME, "simultaneous", lambda e: math.hypot(1 - 8 * e, 8 * e), 1 / 8),
    ],
)
def test_rates_and_ends_of_the_docs(game, dynamics, formula, end):
    if formula:
        for step in (0.01, 1 / 16, 0.2, 0.9):
            assert rate(game, dynamics, step) == close(formula(step))
    sizes = np.linspace(0.005, 0.995, 50)
    if end is None:
        assert (rate(game, dynamics, sizes) >= 1 - 1e-9).all()
    else:
        assert (rate(game, dynamics, sizes * end) < 1).all()
        assert rate(game, dynamics, 1.001 * end) > 1


def test_best_rates_of_the_docs():
    steps = np.linspace(0.001, 0.999, 999)
    for game, dynamics, best, lowest in (
        (HOMEWORK_GAME, "extragradient", 1 / 16, 3 / 4),
        (BILINEAR_GAME, "extragradient", 1 / math.sqrt(2), math.sqrt(3) / 2),
        (ROTATING_GAME, "simultaneous", 1 / 16, 1 / math.sqrt(2)),
        (ROTATING_GAME, "alternating", (math.sqrt(2) - 1) / 4, 3 - 2 * math.sqrt(2)),
    ):
        # The last one's eigenvalues meet there, and a double eigenvalue is known to 1e-8 at most.
        assert rate(game, dynamics, best) == pytest.approx(lowest, abs=1e-7)
        assert rate(game, dynamics, steps).min() >= lowest - 1e-9
    assert minimax.predicted_rate(ROTATING_GAME, "simultaneous", 0.24, 0.05) == pytest.approx(
        0.465, abs=5e-4
    )


def test_a_double_eigenvalue_on_the_circle_is_no_bound():
    """Taking turns in f = xy at step size 2: both eigenvalues are -1, and the distance grows."""
    assert rate(BILINEAR_GAME, "alternating", 2.0) == pytest.approx(1, abs=1e-7)
    assert verdict(rate(BILINEAR_GAME, "alternating", 2.0)) == "on the border"
    run = minimax.simulate(BILINEAR_GAME, "alternating", (1, 0), 2, 2, 50).trajectory
    np.testing.assert_allclose(np.diff(np.hypot(*run.T))[5:], math.sqrt(8), rtol=0.02)


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


def test_measured_rate_belongs_to_the_run():
    # Plain descent diverges, but not from y = 0, and that is what there is to measure.
    run = minimax.simulate(HOMEWORK_GAME, "descent_on_both", (1, 0), 1 / 16, 1 / 16, 50).trajectory
    assert minimax.measured_rate(run) == close(0.5)
    arrives = minimax.simulate(HOMEWORK_GAME, "simultaneous", (1, 1), 1 / 8, 1 / 8, 50).trajectory
    assert minimax.measured_rate(arrives) == 0
    for nothing_to_measure in (np.zeros((50, 2)), np.ones((5, 2)), np.ones((1, 2))):
        assert minimax.measured_rate(nothing_to_measure) is None


# ---------------------------------------------------------------------------------------- running


def test_a_diverging_run_says_where_it_stopped():
    run = minimax.simulate(HOMEWORK_GAME, "simultaneous", (1, 1), 10, 1 / 8, minimax.MAX_STEPS)
    stopped = next(step for step in range(100) if 79**step > 10**30)  # 1 - 8 * 10 = -79
    assert run.diverged_at == stopped
    assert run.trajectory.shape == (stopped, 2)
    assert run.trajectory.base is None  # not a view of all the rows that were made room for
    assert np.abs(run.trajectory).max() <= minimax.DIVERGENCE_BOUND


@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_the_widest_arguments_neither_warn_nor_overflow(dynamics):
    game = QuadraticGame(1e15, 1e-15, 1e15)
    run = minimax.simulate(game, dynamics, (1e30, -1e30), 1e100, 1e100, 10)
    assert np.isfinite(run.trajectory).all() and run.diverged_at == 1
    run = minimax.simulate(game, dynamics, (1e-30, 0), 1e-100, 1e-100, 10)
    assert run.trajectory.tolist() == [[1e-30, 0]] + [[1e-30, pytest.approx(0)]] * 10


def test_a_game_may_be_any_two_gradients():
    # f = x^4 + 3xy - y^4; NumPy functions, whose overflow would warn
    game = SimpleNamespace(
        gradient_x=lambda x, y: np.power(4.0 * x, 3) / 16 + 3 * y,
        gradient_y=lambda x, y: 3 * x - 4 * np.float64(y) ** 3,
    )
    run = minimax.simulate(game, "alternating", (1, 1), 0.125, 0.125, 1)
    x = 1 - 0.125 * (4 + 3)
    assert run.trajectory[1].tolist() == [x, 1 + 0.125 * (3 * x - 4)]
    for dynamics in DYNAMICS:
        run = minimax.simulate(game, dynamics, (3, 3), 10, 10, 100)
        assert run.diverged_at is not None and np.isfinite(run.trajectory).all()
    game.gradient_x, game.gradient_y = lambda x, y: x, lambda x, y: math.nan if y > 2 else 1.0
    run = minimax.simulate(game, "simultaneous", (1, 1), 0.5, 0.5, 100)  # y: 1, 1.5, 2, 2.5, -
    assert run.diverged_at == 4 and run.trajectory[:, 1].tolist() == [1, 1.5, 2, 2.5]


@pytest.mark.parametrize(
    "wrong, name",
    [
        *[({"step_x": value}, "step_x") for value in (0, -0.1, math.nan, 1e101, 10**5000, "x")],
        *[({"step_y": value}, "step_y") for value in (0.0, -1, -math.inf, 1e-101, None)],
        *[({"steps": value}, "steps") for value in (0, -3, 2.5, True, 10_001, 10**5000)],
        *[({"start": value}, "start") for value in ((math.nan, 0), (0, math.inf), (1,), (2e30, 0))],
        *[({"start": value}, "start") for value in ((1e-200, 0), (10**5000, 0), 1, ("1", "2"))],
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


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="extragradient"):
        minimax.simulate(HOMEWORK_GAME, "sideways", (1, 1), 0.1, 0.1, 1)
    with pytest.raises(UserError, match="x, y or both"):
        minimax.step_size_range(HOMEWORK_GAME, "z")
    with pytest.raises(UserError, match="other_step"):
        minimax.step_size_range(ROTATING_GAME, "x")


def test_needs_numpy_alone():
    code = (
        "import sys, gan_tf.minimax.answers; "
        "print({'tensorflow', 'matplotlib', 'scipy', 'imageio', 'jinja2'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
