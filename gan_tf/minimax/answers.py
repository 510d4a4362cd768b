"""The homework's answers on the minimax toy: each number computed, and measured from a run."""

import math

import numpy as np

from gan_tf.minimax import (
    DIVERGENCE_BOUND,
    DYNAMICS,
    HOMEWORK_GAME,
    check_arguments,
    descent_on_both,
    formula,
    linear_form,
    measured_rate,
    predicted_rate,
    proximal_point_exists,
    simulate,
    simultaneous,
    step_size_range,
    update_matrix,
)

START = (1.0, 1.0)
STEP_SIZE = 1 / 16  # a power of two, so that the homework's factors come out exact
STEPS = 50


def report(game=HOMEWORK_GAME, start=START, step_x=STEP_SIZE, step_y=STEP_SIZE, steps=STEPS):
    """Returns the homework's answers as a dict for JSON; no value is NaN or infinite.

    Args:
      game: a QuadraticGame.
      start, step_x, step_y, steps: as for `simulate`.

    Returns:
      saddle_point: [x, y]; None where the stationary point does not solve the game: a < 0, b < 0.
      hessian_eigenvalues: ascending.
      step_size_range: {x, y}: [low, high] of simultaneous descent/ascent, ends not included;
        where c is not 0, with the other player's step size as given. None where none converges.
      update_matrix: [2, 2], what one simultaneous step multiplies (x, y) by.
      update_factors: {x, y}: its diagonal, 1 - 2a step_x and 1 - 2b step_y; where c = 0 that is all
        of it.
      rates: {dynamics: {predicted, measured}}: distance factor per step, by theory and from a run
        from `start`. predicted is None where the proximal point does not exist, measured also
        where a run is too short to tell or starts at the stationary point.
      duality_gap: {start, end}: of a simultaneous run, see `QuadraticGame.duality_gap`; None where
        it is not defined.
      descent_on_both: y_factor is 1 + 2b step_y; diverges is true where almost every start does;
        exception says which starts converge all the same, None where there are none; f_falls
        whether f falls without bound from almost every start, None where c is not 0.

    Raises:
      UserError: an argument is out of range, or the game has no unique stationary point.
    """
    check_arguments(start, step_x, step_y, steps)
    saddle_point = game.saddle_point()
    run = simulate(game, "simultaneous", start, step_x, step_y, steps).trajectory
    gaps = [game.duality_gap(*point) for point in (run[0], run[-1])]
    ranges = {
        "x": step_size_range(game, "simultaneous", "x", step_y),
        "y": step_size_range(game, "simultaneous", "y", step_x),
    }
    return {
        "saddle_point": None if saddle_point is None else saddle_point.tolist(),
        "hessian_eigenvalues": np.linalg.eigvalsh(game.hessian).tolist(),
        "step_size_range": {player: ends and list(ends) for player, ends in ranges.items()},
        "update_matrix": update_matrix(game, "simultaneous", step_x, step_y).tolist(),
        "update_factors": {"x": 1 - 2 * game.a * step_x, "y": 1 - 2 * game.b * step_y},
        "rates": {
            dynamics: _predicted_and_measured(game, dynamics, start, step_x, step_y, steps)
            for dynamics in DYNAMICS
        },
        "duality_gap": None if gaps[0] is None else {"start": gaps[0], "end": gaps[1]},
        "descent_on_both": {
            "y_factor": 1 + 2 * game.b * step_y,
            "diverges": predicted_rate(game, "descent_on_both", step_x, step_y) > 1,
            "exception": _descent_exception(game, step_x, step_y),
            "f_falls": _f_falls(game, step_x, step_y),
        },
    }


def _predicted_and_measured(game, dynamics, start, step_x, step_y, steps):
    if dynamics == "proximal" and not proximal_point_exists(game, step_x, step_y):
        return {"predicted": None, "measured": None}
    run = simulate(game, dynamics, start, step_x, step_y, steps)
    return {
        "predicted": predicted_rate(game, dynamics, step_x, step_y),
        "measured": measured_rate(run.trajectory),
    }


def _descent_exception(game, step_x, step_y):
    if game.c == 0 and game.a > 0 and game.b > 0:
        return (
            "from y0 = 0 it converges for every step_y, "
            f"if and only if 0 < step_x < {1 / game.a:g} (or x0 = 0)"
        )
    values, vectors = np.linalg.eig(update_matrix(game, "descent_on_both", step_x, step_y))
    shrinking = np.abs(values) < 1  # real: E hessian is similar to a symmetric matrix
    if shrinking.sum() != 1:
        return None
    x, y = np.real(vectors[:, shrinking][:, 0])
    return f"from a start on the line through (0, 0) and ({x:.6g}, {y:.6g}), in exact arithmetic"


def _f_falls(game, step_x, step_y):
    """Whether -b y^2 outgrows a x^2 under descent on both, where the players are not coupled."""
    if game.c != 0:
        return None
    growth_x, growth_y = abs(1 - 2 * game.a * step_x), abs(1 + 2 * game.b * step_y)
    falls_by_y = game.b > 0 and growth_y > 1 and (growth_y > growth_x or game.a <= 0)
    falls_by_x = game.a < 0 and growth_x > 1 and (growth_x > growth_y or game.b >= 0)
    return falls_by_y or falls_by_x


def answers(game=HOMEWORK_GAME, start=START, step_x=STEP_SIZE, step_y=STEP_SIZE, steps=STEPS):
    """Returns the homework's answers (a) to (d) as text, each number computed beside one measured.

    Args, Raises: as for `report`.
    """
    facts = report(game, start, step_x, step_y, steps)
    lines = [
        f"f(x, y) = {formula(game)}: x makes f small, y makes it large",
        f"start ({start[0]:g}, {start[1]:g}), step_x {step_x:g}, step_y {step_y:g}, steps {steps}",
        "",
        *_answer_a(game, facts, start, step_x, step_y, steps),
        "",
        *_answer_b(game, facts, step_x, step_y),
        "",
        *_answer_c(game, facts, step_x, step_y),
        "",
        *_answer_d(game, facts, start, step_x, step_y, steps),
        "",
        *_duality_gap(game, facts),
        "",
        "Rates: the factor by which a step multiplies the distance to the origin, in the long run",
        f"    {'':16} {'predicted':>10} {'measured':>10}",
    ]
    for dynamics, rate in facts["rates"].items():
        predicted, measured = rate["predicted"], rate["measured"]
        note = ""
        if measured is not None and not math.isclose(
            predicted, measured, rel_tol=1e-6, abs_tol=1e-6
        ):
            note = "  (this start excites only a part of the dynamics)"
        lines.append(f"    {dynamics:16} {_text(predicted):>10} {_text(measured):>10}{note}")
    return "\n".join(lines + ["", *_what_it_shows(game, step_x, step_y)])


def _answer_a(game, facts, start, step_x, step_y, steps):
    in_x, in_y = game.classification
    run = simulate(game, "simultaneous", start, step_x, step_y, steps)
    low, high = facts["hessian_eigenvalues"]
    verdict = (
        "f(0, y) <= f(0, 0) <= f(x, 0): the saddle point is (0, 0), and it solves the game"
        if game.is_minimax
        else "no saddle point: from (0, 0) a player gains by moving alone"
    )
    return [
        "(a) The saddle point",
        f"    df/dx = {linear_form(2 * game.a, game.c)} and"
        f" df/dy = {linear_form(game.c, -2 * game.b)} vanish only at (0, 0)",
        f"    Hessian eigenvalues {low:g} and {high:g}; along x: {in_x}, along y: {in_y}",
        f"    computed: {verdict}",
        f"    measured: a run is {_whereabouts(run)}",
    ]


def _answer_b(game, facts, step_x, step_y):
    # What is left of (1, 0) and of (0, 1) are the columns of the matrix that a step multiplies by.
    columns = [
        simultaneous(game, point, None, step_x, step_y) for point in [(1.0, 0.0), (0.0, 1.0)]
    ]
    lines = [
        "(b) Gradient descent/ascent",
        f"    x <- x - step_x ({linear_form(2 * game.a, game.c)})",
        f"    y <- y + step_y ({linear_form(game.c, -2 * game.b)})",
    ]
    for index, player in enumerate("xy"):
        computed = facts["update_matrix"][index]
        measured = [column[index] for column in columns]
        if game.c == 0:
            name, computed, measured = f"factor of {player}", [computed[index]], [measured[index]]
        else:
            name = f"new {player}, as a part of x and a part of y"
        computed, measured = (", ".join(map(_text, values)) for values in (computed, measured))
        lines.append(f"    {name}: computed {computed}; measured {measured}")
    return lines


def _answer_c(game, facts, step_x, step_y):
    lines = ["(c) The step sizes that converge"]
    for player in "xy":
        interval = facts["step_size_range"][player]
        held = "" if game.c == 0 else f" with step_{'y' if player == 'x' else 'x'} held"
        if interval is None:
            lines.append(f"    computed: no step_{player} converges{held}")
            continue
        low, high = interval
        measured = []
        for factor in (0.99, 1.01):
            start, steps_of_both = (
                ((1, 0), (factor * high, step_y))
                if player == "x"
                else ((0, 1), (step_x, factor * high))
            )
            rate = measured_rate(
                simulate(game, "simultaneous", start, *steps_of_both, 50).trajectory
            )
            measured.append(f"rate {_text(rate)} at {_text(factor * high)}")
        lines.append(f"    computed: {_text(low)} < step_{player} < {_text(high)}{held}")
        lines.append(f"    measured: {', '.join(measured)}")
    return lines


def _answer_d(game, facts, start, step_x, step_y, steps):
    facts = facts["descent_on_both"]
    _, y = descent_on_both(game, (0.0, 1.0), None, step_x, step_y)
    run = simulate(game, "descent_on_both", start, step_x, step_y, steps)
    lines = [
        "(d) Gradient descent on both players",
        f"    factor of y: computed {_text(facts['y_factor'])}, measured {_text(y)}",
        f"    computed: {'diverges' if facts['diverges'] else 'does not diverge'}"
        + (f"; exception: {facts['exception']}" if facts["exception"] else ""),
    ]
    if facts["diverges"] and facts["f_falls"] is not None:
        growth_x, growth_y = abs(1 - 2 * game.a * step_x), abs(1 + 2 * game.b * step_y)
        lines.append(
            f"    computed: f {'falls' if facts['f_falls'] else 'does not fall'} without bound;"
            f" a step multiplies |x| by {_text(growth_x)} and |y| by {_text(growth_y)}"
        )
    lines.append(f"    measured: a run is {_whereabouts(run)}")
    if game.c == 0:
        from_y_0 = simulate(game, "descent_on_both", (1, 0), step_x, step_y, steps)
        lines.append(f"    measured: a run from (1, 0) is {_whereabouts(from_y_0)}")
    elif facts["exception"] and (rate := measured_rate(run.trajectory)) is not None and rate < 1:
        other = _growing_start(game, start, step_x, step_y)
        run = simulate(game, "descent_on_both", other, step_x, step_y, steps)
        lines[-1] += ": this start lies on that line"
        lines.append(
            f"    measured: a run from ({other[0]:.3g}, {other[1]:.3g}) is {_whereabouts(run)}"
        )
    return lines


def _growing_start(game, start, step_x, step_y):
    """A start as far out as the given one, in the direction that descent on both stretches most."""
    values, vectors = np.linalg.eig(update_matrix(game, "descent_on_both", step_x, step_y))
    return np.real(vectors[:, np.argmax(np.abs(values))]) * np.hypot(*start)


def _duality_gap(game, facts):
    gap = facts["duality_gap"]
    if gap is None:
        return [
            "Duality gap, max f(x, y') - min f(x', y): not defined here,",
            "    as a player's best reply is at infinity",
        ]
    in_x, in_y = game.duality_gap(1.0, 0.0), game.duality_gap(0.0, 1.0)
    start, end = _text(gap["start"]), _text(gap["end"])
    return [
        f"Duality gap, max f(x, y') - min f(x', y) = {in_x:g} x^2 + {in_y:g} y^2:",
        "    0 at the saddle point only, so it tells how far from solved a point is",
        f"    measured: {start} at the start, {end} at the end of a run",
    ]


def _whereabouts(run):
    x, y = run.trajectory[-1]
    beyond = f", beyond {DIVERGENCE_BOUND:g} at step {run.diverged_at}" if run.diverged_at else ""
    return f"at ({x:.3g}, {y:.3g}) after step {len(run.trajectory) - 1}{beyond}"


def _what_it_shows(game, step_x, step_y):
    if game.c != 0:
        eigenvalues = np.linalg.eigvals(update_matrix(game, "simultaneous", step_x, step_y))
        if np.any(np.imag(eigenvalues)):
            return [
                "The players are coupled (c is not 0): the run turns about the origin, as GANs do."
            ]
        return [
            "The players are coupled (c is not 0), though with these numbers the run does not turn."
        ]
    return [
        "What this game cannot show: f is separable, no player's gradient knows of the other, so",
        "nothing rotates, and simultaneous equals alternating. A GAN can cycle; so can f = xy",
        "(--game 0 0 1) and c = 8 (--game 4 4 8). With a = b, |x0| = |y0| and equal step sizes f",
        "stays 0 whether the players converge or diverge: watch the distance or the duality gap.",
    ]


def _text(number):
    return "-" if number is None else f"{number:.6g}"
