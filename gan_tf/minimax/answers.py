"""The assignment's answers on the minimax toy: in sentences, as text, and as numbers for a program.

The sentences stand here only: the command prints them, the report's page shows them, and a test
holds docs/minimax.md to them.
"""

import math
import textwrap

import numpy as np

from gan_tf.minimax.dynamics import DIVERGENCE_BOUND, DYNAMICS, checked_arguments, simulate
from gan_tf.minimax.games import HOMEWORK_GAME, formula, linear_form, unbroken
from gan_tf.minimax.theory import measured_rate, predicted_rate, step_size_range, update_matrix

START = (1.0, 1.0)
STEP_SIZE = 1 / 16  # a power of two, so that the assignment's factors come out exact
STEPS = 50

FROM_TOY_TO_GAN = (
    "In a GAN x is the generator's weights, y the discriminator's, and f how well the discriminator"
    " tells real images from generated ones.",
    "Each player needs a step size of its own, small enough for the curvature that it sees.",
    "The discriminator must climb: if both networks descend the same loss, that is part (d).",
    "The loss does not show progress. In 4 x^2 - 4 y^2, from |x0| = |y0| with equal step sizes, f"
    " stays 0 whether the players converge or diverge.",
    "The toy cannot cycle, as neither gradient depends on the other player; a GAN can. With a"
    " coupling c the players can turn about the saddle point.",
    "The training step takes both gradients at the same point, as (b) does. But it is not (b):"
    " the generator descends the non-saturating loss, so that there is no single f that one network"
    " minimises and the other maximises, and Adam divides each step by the size of recent"
    " gradients.",
)


def report(game=HOMEWORK_GAME, start=START, step_x=STEP_SIZE, step_y=STEP_SIZE, steps=STEPS):
    """Returns the assignment's answers as a dict for JSON; no value is NaN or infinite.

    Args:
      game: a QuadraticGame.
      start, step_x, step_y, steps: as for `simulate`.

    Returns:
      saddle_point: [x, y]; None where the stationary point does not solve the game: a < 0, b < 0.
      hessian_eigenvalues: ascending.
      step_size_range: {x, y}: [low, high] of simultaneous descent/ascent, ends not included;
        where c is not 0, with the other player's step size as given. None where none converges.
      update_matrix: [2, 2], what one simultaneous step multiplies (x, y) by.
      rates: {dynamics: {predicted, measured}}: distance factor per step, by theory and from a run
        from `start`. measured is None where a run has fewer than 6 points or starts at (0, 0).
      duality_gap: {start, end}: of a simultaneous run, see `QuadraticGame.duality_gap`; None where
        it is not defined.
      descent_on_both: y_factor is 1 + 2b step_y; diverges is true where almost every start does;
        exception says which starts converge all the same, None where there are none; f_falls
        whether f falls without bound from almost every start, None where the start decides.

    Raises:
      UserError: an argument is out of range.
    """
    start, step_x, step_y, steps = checked_arguments(start, step_x, step_y, steps)
    run = simulate(game, "simultaneous", start, step_x, step_y, steps).trajectory
    gaps = [game.duality_gap(*point) for point in (run[0], run[-1])]
    surface = game.surface
    return {
        "saddle_point": [0.0, 0.0] if game.is_minimax else None,
        "hessian_eigenvalues": np.linalg.eigvalsh(game.hessian).tolist(),
        "step_size_range": {
            player: interval and list(interval)
            for player, interval in _ranges(game, step_x, step_y).items()
        },
        "update_matrix": update_matrix(game, "simultaneous", step_x, step_y).tolist(),
        "rates": {
            dynamics: {
                "predicted": float(predicted_rate(game, dynamics, step_x, step_y)),
                "measured": measured_rate(
                    simulate(game, dynamics, start, step_x, step_y, steps).trajectory
                ),
            }
            for dynamics in DYNAMICS
        },
        "duality_gap": None if gaps[0] is None else {"start": gaps[0], "end": gaps[1]},
        "descent_on_both": {
            "y_factor": 1 + 2 * game.b * step_y,
            "diverges": surface != "minimum"
            or bool(predicted_rate(game, "descent_on_both", step_x, step_y) > 1),
            "exception": _descent_exception(game, step_x, step_y),
            "f_falls": _f_falls(game, step_x, step_y),
        },
    }


def _ranges(game, step_x, step_y):
    return {"x": step_size_range(game, "x", step_y), "y": step_size_range(game, "y", step_x)}


def _descent_exception(game, step_x, step_y):
    """Which starts converge under descent on both, where almost every start diverges."""
    if game.surface != "saddle":
        return None
    if game.c == 0:
        moving, resting, own = ("x", "y", game.a) if game.a > 0 else ("y", "x", -game.b)
        return (
            f"from {resting}0 = 0, {resting} stays there, and {moving} converges"
            f" for 0 < step_{moving} < {1 / own:g}"
        )
    # E hessian, with E = diag(step_x, step_y), has one eigenvalue below 0; the starts along the
    # other one's eigenvector converge if it is below 2, that is, if det(2 - E hessian) > 0.
    a, b = game.a * step_x, game.b * step_y
    if 4 - 4 * a + 4 * b - float(game.determinant) * step_x * step_y <= 0:
        return None
    return "with these step sizes the players converge from the points of one line through (0, 0)"


def _f_falls(game, step_x, step_y):
    """Whether f falls without bound under descent on both.

    In the eigenvectors of E hessian f is a sum of h_i (1 - h_i)^2t times a positive number. At a
    saddle h_1 < 0 < h_2: the falling part outgrows the other one if h_1 + h_2 < 2, which is the
    trace of E hessian.
    """
    if game.surface != "saddle":
        return game.surface == "maximum"
    half_trace = game.a * step_x - game.b * step_y
    return None if math.isclose(half_trace, 1, rel_tol=1e-9) else half_trace < 1


# --------------------------------------------------------------------------------------- sentences


def sections(game=HOMEWORK_GAME, start=START, step_x=STEP_SIZE, step_y=STEP_SIZE, steps=STEPS):
    """Returns the answers (a) to (d), and the duality gap, in sentences.

    The sentences hold for every start, the last one of a section, "Measured: ...", for the run
    asked for. `gan_tf.minimax.games.typeset` makes a page's η_x of the terminal's step_x.

    Args, Raises: as for `report`.

    Returns:
      List of (title, list of sentences).
    """
    start, step_x, step_y, steps = checked_arguments(start, step_x, step_y, steps)
    arguments = (game, start, step_x, step_y, steps)
    return [
        ("(a) The saddle point", _saddle_point(*arguments)),
        ("(b) Gradient descent/ascent", _descent_ascent(game)),
        ("(c) The step sizes that converge", _step_sizes(game, step_x, step_y)),
        ("(d) Gradient descent on both", _descent_on_both(*arguments)),
        ("Is it solved? The duality gap", _duality_gap(*arguments)),
    ]


def _saddle_point(game, start, step_x, step_y, steps):
    gradient_x, gradient_y = _gradients(game)
    movers = [name for name, curvature in (("x", game.a), ("y", game.b)) if curvature < 0]
    if movers:
        reading = (
            "So (0, 0) does not solve the game:"
            f" {' and '.join(movers)} {'gains' if len(movers) == 1 else 'gain'} by moving alone."
        )
    else:
        reading = (
            "So f(0, y) <= f(0, 0) <= f(x, 0) for all x and y: neither player gains by moving"
            " alone, and (0, 0) is the saddle point."
        )
    run = simulate(game, "simultaneous", start, step_x, step_y, steps)
    return [
        f"df/dx = {gradient_x} and df/dy = {gradient_y} vanish together only at (0, 0). The second"
        f" derivative of f is {2 * game.a:g} along x and {0 - 2 * game.b:g} along y.",
        reading,
        f"Measured: from {_point(start)} a run of (b) is {_whereabouts(run)}.",
    ]


def _descent_ascent(game):
    rules = [
        f"{player} <- {player} {sign} step_{player} ({gradient})"
        for player, sign, gradient in zip("xy", "-+", _gradients(game))
    ]
    if game.c != 0:
        return [*rules, "The players are coupled: each gradient depends on the other player."]
    factors = _factor(-game.a, "x"), _factor(-game.b, "y")
    return [
        f"{rule} = ({factor}) {player}" for rule, factor, player in zip(rules, factors, "xy")
    ] + ["A player converges if and only if its factor is between -1 and 1."]


def _step_sizes(game, step_x, step_y):
    sentences, measured = [], []
    for player, interval in _ranges(game, step_x, step_y).items():
        held = f"step_y = {step_y:.6g}" if player == "x" else f"step_x = {step_x:.6g}"
        subject = f"{player} converges" if game.c == 0 else f"With {held} both players converge"
        if interval is None:
            sentences.append(f"{subject} for no step_{player}.")
            continue
        low, high = interval
        sentences.append(f"{subject} if and only if {low:.6g} < step_{player} < {high:.6g}.")
        for size in (high - 0.01 * (high - low), high + 0.01 * (high - low)):
            start, steps = ((1, 0), (size, step_y)) if player == "x" else ((0, 1), (step_x, size))
            rate = measured_rate(simulate(game, "simultaneous", start, *steps, 50).trajectory)
            measured.append(f"{_text(rate)} at step_{player} = {size:.6g}")
    if measured:
        sentences.append(f"Measured: a step multiplies the distance by {', '.join(measured)}.")
    return sentences


def _descent_on_both(game, start, step_x, step_y, steps):
    rule = f"y <- y - step_y ({_gradients(game)[1]})"
    if game.c == 0:
        rule += f" = ({_factor(game.b, 'y')}) y"
    sentences = [f"If y descends as well: {rule}"]
    starts = [start]
    if game.surface == "minimum":
        sentences.append(
            "(0, 0) is the minimum of f, and the players reach it if the step sizes are small"
            " enough."
        )
    elif game.surface == "maximum":
        sentences.append(
            "(0, 0) is the maximum of f: whatever the step sizes, the players leave it from every"
            " other start, and f falls without bound."
        )
    else:
        sentences.append(
            f"Whatever the step sizes, the players diverge from almost every start. {_fate(game)}"
        )
        if exception := _descent_exception(game, step_x, step_y):
            sentences.append(f"The exception: {exception}.")
        # On the exception's axis; or, where that is another line, mirrored: not both are on it.
        x, y = start[0] or 1.0, start[1] or 1.0
        starts.append((x, -y) if game.c else (x, 0.0) if game.a > 0 else (0.0, y))
    measured = []
    for begin in starts:
        run = simulate(game, "descent_on_both", begin, step_x, step_y, steps)
        f = game.value(*run.trajectory[-1])
        measured.append(f"from {_point(begin)} a run is {_whereabouts(run)}, where f = {f:.3g}")
    return [*sentences, f"Measured: {'; '.join(measured)}."]


def _fate(game):
    """What f does under descent on both at a saddle, for all step sizes; see `_f_falls`."""
    if game.a <= 0 <= game.b:
        return "f falls without bound."
    half_trace = linear_form((game.a, "step_x"), (-game.b, "step_y"))
    return (
        f"f falls without bound if {half_trace} < 1, rises without bound if {half_trace} > 1, and"
        " at equality the start decides."
    )


def _duality_gap(game, start, step_x, step_y, steps):
    gap = "The duality gap is max f(x, y') - min f(x', y), over all y' and x'"
    if game.duality_gap(0, 0) is None:
        return [f"{gap}. It is not defined here, as a player has no single best reply."]
    weights = (game.duality_gap(1.0, 0.0), "x^2"), (game.duality_gap(0.0, 1.0), "y^2")
    run = simulate(game, "simultaneous", start, step_x, step_y, steps).trajectory
    first, last = (_text(game.duality_gap(*point)) for point in (run[0], run[-1]))
    return [
        f"{gap}: here {linear_form(*weights)}. It is 0 at the saddle point and positive everywhere"
        " else.",
        f"Measured: {first} at the start, {last} at the end of a run of (b).",
    ]


def _gradients(game):
    return (
        linear_form((2 * game.a, "x"), (game.c, "y")),
        linear_form((game.c, "x"), (-2 * game.b, "y")),
    )


def _factor(half_growth, player):
    return linear_form((1, "1"), (2 * half_growth, f"step_{player}"))


def _whereabouts(run):
    beyond = f", beyond {DIVERGENCE_BOUND:g} at step {run.diverged_at}" if run.diverged_at else ""
    return f"at {_point(run.trajectory[-1])} after step {len(run.trajectory) - 1}{beyond}"


def _point(point):
    return f"({point[0]:.3g}, {point[1]:.3g})"


def _text(number):
    return "-" if number is None else f"{number:.6g}"


# -------------------------------------------------------------------------------------------- text


def answers(game=HOMEWORK_GAME, start=START, step_x=STEP_SIZE, step_y=STEP_SIZE, steps=STEPS):
    """Returns the assignment's answers as text, each computed and then measured.

    Args, Raises: as for `report`.
    """
    lines = [
        f"f(x, y) = {formula(game)}: x makes f small, y makes it large",
        f"start {_point(start)}, step_x {step_x:g}, step_y {step_y:g}, steps {steps}",
    ]
    for title, sentences in sections(game, start, step_x, step_y, steps):
        lines += ["", title, *_indented(sentences)]
    lines += [
        "",
        "Rates: the factor by which a step multiplies the distance to (0, 0), in the long run",
        f"    {'':16} {'predicted':>10} {'measured':>10}",
    ]
    for dynamics, rate in report(game, start, step_x, step_y, steps)["rates"].items():
        predicted, measured = rate["predicted"], rate["measured"]
        note = ""
        if measured is not None and not math.isclose(
            predicted, measured, rel_tol=1e-6, abs_tol=1e-6
        ):
            note = "  (this start and length do not show the long run)"
        lines.append(f"    {dynamics:16} {_text(predicted):>10} {_text(measured):>10}{note}")
    lines += ["", "From the toy to the GAN", *_indented(FROM_TOY_TO_GAN)]
    return "\n".join(lines)


def _indented(sentences):
    for sentence in sentences:
        lines = textwrap.fill(unbroken(sentence, "\0"), 94).replace("\0", " ")
        yield textwrap.indent(lines, "    ")
