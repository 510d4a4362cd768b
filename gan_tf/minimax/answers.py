"""The assignment's answers about the minimax game: sentences, text, and numbers for a program.

These sentences have no other source: the command prints them, the report's page shows them, and a
test compares docs/minimax.md with them.
"""

import math
import textwrap

import numpy as np

from gan_tf.minimax.dynamics import DIVERGENCE_BOUND, DYNAMICS, checked_arguments, simulate
from gan_tf.minimax.games import HOMEWORK_GAME, formula, linear_form, unbroken
from gan_tf.minimax.theory import measured_rate, predicted_rate, step_size_limits, update_matrix

START = (1.0, 1.0)
STEP_SIZE = 1 / 16  # a power of two, so that the assignment's factors are exact
STEPS = 50

FROM_GAME_TO_GAN = (
    "In a GAN, x stands for the weights of the generator, y for those of the discriminator, and f"
    " for how well the discriminator tells real images from generated ones.",
    "Each player needs its own step size, small enough for the curvature it sees.",
    "The discriminator must ascend. If both networks descend the same loss, part (d) happens.",
    "The loss does not measure progress. In 4 x^2 - 4 y^2 with equal step sizes and |x0| = |y0|, f"
    " stays 0 whether the players converge or diverge.",
    "In 4 x^2 - 4 y^2 the players cannot circle the saddle point, because neither gradient depends"
    " on the other player. In a GAN they can, and adding a term c xy to f shows how.",
    "The GAN training step takes both gradients at the same point, as (b) does, but it differs in"
    " two ways. The generator descends the non-saturating loss, so there is no single f that one"
    " network minimises and the other maximises. And Adam divides each step by the size of recent"
    " gradients.",
)


def report(game=HOMEWORK_GAME, start=START, step_x=STEP_SIZE, step_y=STEP_SIZE, steps=STEPS):
    """Returns the assignment's answers as a dict for JSON, in which every number is finite.

    Args:
      game: a QuadraticGame.
      start, step_x, step_y, steps: as for `simulate`.

    Returns:
      saddle_point: [x, y].
      hessian_eigenvalues: in ascending order.
      step_size_range: {player: [low, high]} of descent/ascent, ends excluded, or None if no step
        size converges; the players are those of `step_size_limits`.
      update_matrix: [2, 2], of descent/ascent.
      rates: {dynamics: {predicted, measured}}: the factor by which a step multiplies the distance,
        from theory and from a run; measured may be None.
      descent_on_both: y_factor is 1 + 2b step_y, or None if c is not 0; diverges and f_falls hold
        for almost every start, and exception names the other ones; f_falls is None if the start
        decides.

    Raises:
      UserError: an argument is out of range.
    """
    start, step_x, step_y, steps = checked_arguments(start, step_x, step_y, steps)
    half_trace = game.a * step_x - game.b * step_y  # of diag(step_x, step_y) Hessian; see the docs
    return {
        "saddle_point": [0.0, 0.0],
        "hessian_eigenvalues": np.linalg.eigvalsh(game.hessian).tolist(),
        "step_size_range": {
            player: [0.0, limit] if limit else None
            for player, limit in step_size_limits(game).items()
        },
        "update_matrix": update_matrix(game, "simultaneous", step_x, step_y).tolist(),
        "rates": {
            name: {
                "predicted": float(predicted_rate(game, name, step_x, step_y)),
                "measured": measured_rate(simulate(game, name, start, step_x, step_y, steps)),
            }
            for name in DYNAMICS
        },
        "descent_on_both": {
            "y_factor": None if game.c else 1 + 2 * game.b * step_y,
            "diverges": True,
            "exception": _exception(game),
            "f_falls": None if math.isclose(half_trace, 1, rel_tol=1e-9) else half_trace < 1,
        },
    }


def sections(game=HOMEWORK_GAME, start=START, step_x=STEP_SIZE, step_y=STEP_SIZE, steps=STEPS):
    """Returns the answers (a) to (d) in sentences.

    A sentence that begins with "Measured:" holds for the run that the arguments describe, every
    other sentence for any run. `games.typeset` turns step_x into the η_x that a page shows.

    Args, Raises: as for `report`.

    Returns:
      List of (title, list of sentences).
    """
    run = simulate(game, "simultaneous", start, step_x, step_y, steps)
    gradient_x, gradient_y = _gradients(game)
    saddle_point = [
        f"df/dx = {gradient_x} and df/dy = {gradient_y} are both zero only at (0, 0). The second"
        f" derivative of f is {2 * game.a:g} along x and {0 - 2 * game.b:g} along y.",
        "Therefore f(0, y) <= f(0, 0) <= f(x, 0) for all x and y. Neither player gains by moving"
        " alone, so (0, 0) is the saddle point.",
        f"Measured: under (b), {_end_of(run, steps)}.",
    ]
    descent_ascent = [
        _rule(game, "x", "-"),
        _rule(game, "y", "+"),
        "The players are coupled: each gradient also depends on the other player."
        if game.c
        else "A player converges if and only if its factor is between -1 and 1.",
    ]
    return [
        ("(a) The saddle point", saddle_point),
        ("(b) Gradient descent/ascent", descent_ascent),
        ("(c) The step sizes that converge", _step_sizes(game)),
        ("(d) Gradient descent on both", _descent_on_both(game, start, step_x, step_y, steps)),
    ]


def _rule(game, player, sign):
    """How a player moves, such as `x <- x - step_x (8 x) = (1 - 8 step_x) x`."""
    index, step = "xy".index(player), f"step_{player}"
    rule = f"{player} <- {player} {sign} {step} ({_gradients(game)[index]})"
    if game.c != 0:
        return rule
    curvature = game.hessian[index, index]
    factor = linear_form((1, "1"), (curvature if sign == "+" else -curvature, step))
    return f"{rule} = ({factor}) {player}"


def _step_sizes(game):
    sentences, measured = [], []
    for player, limit in step_size_limits(game).items():
        if limit == 0:
            return ["The players converge for no step sizes."]
        if player == "both":
            subject, step = "With equal step sizes both players converge", "step_x = step_y"
            start = (1, 0.7)
        else:
            subject, step = f"{player} converges", f"step_{player}"
            start = (1, 0) if player == "x" else (0, 1)
        sentences.append(f"{subject} if and only if 0 < {step} < {limit:.6g}.")
        for size in (0.99 * limit, 1.01 * limit):
            rate = measured_rate(simulate(game, "simultaneous", start, size, size, 50))
            measured.append(f"{_text(rate)} at {step} = {size:.6g}")
    sentences.append(f"Measured: a step multiplies the distance by {', '.join(measured)}.")
    return sentences


def _descent_on_both(game, start, step_x, step_y, steps):
    half_trace = linear_form((game.a, "step_x"), (-game.b, "step_y"))
    f_falls = "f falls without bound."
    if game.a > 0:
        f_falls = (
            f"f falls without bound if {half_trace} < 1 and rises without bound if {half_trace} >"
            f" 1. If {half_trace} = 1, the start decides."
        )
    # The second start is an exception if c = 0. Otherwise at most one of the two is.
    x, y = start[0] or 1.0, start[1] or 1.0
    measured = []
    for begin in dict.fromkeys([(*start,), (x, -y if game.c else 0.0)]):
        run = simulate(game, "descent_on_both", begin, step_x, step_y, steps)
        measured.append(f"{_end_of(run, steps)}, where f = {game.value(*run[-1]):.3g}")
    return [
        f"If y descends too: {_rule(game, 'y', '-')}",
        f"Whatever the step sizes, the players diverge from almost every start. {f_falls}",
        f"The exception: {_exception(game)}.",
        f"Measured: {'; '.join(measured)}.",
    ]


def _exception(game):
    """Which starts converge under descent on both."""
    if game.c == 0:
        return f"with y0 = 0, y stays 0, and x converges if 0 < step_x < {1 / game.a:g}"
    return "from one line through (0, 0) the players converge if the step sizes are small enough"


def _gradients(game):
    return (
        linear_form((2 * game.a, "x"), (game.c, "y")),
        linear_form((game.c, "x"), (-2 * game.b, "y")),
    )


def _end_of(run, steps):
    last = len(run) - 1
    beyond = f", and beyond {DIVERGENCE_BOUND:g} one step later" if last < steps else ""
    return f"from {_point(run[0])} the players are at {_point(run[-1])} after {last} steps{beyond}"


def _point(point):
    return f"({point[0]:.3g}, {point[1]:.3g})"


def _text(number):
    return "-" if number is None else f"{number:.6g}"


def answers(game=HOMEWORK_GAME, start=START, step_x=STEP_SIZE, step_y=STEP_SIZE, steps=STEPS):
    """Returns the assignment's answers as text, each first computed and then measured.

    Args, Raises: as for `report`.
    """
    lines = [
        f"f(x, y) = {formula(game)}, where x minimises f and y maximises it",
        f"start {_point(start)}, step_x {step_x:g}, step_y {step_y:g}, steps {steps}",
    ]
    for title, sentences in sections(game, start, step_x, step_y, steps):
        lines += ["", title, *map(_indented, sentences)]
    lines += [
        "",
        "Rates: the factor by which a step multiplies the distance to (0, 0) in the long run",
        f"    {'':16} {'predicted':>10} {'measured':>10}",
    ]
    for dynamics, rate in report(game, start, step_x, step_y, steps)["rates"].items():
        predicted, measured = rate["predicted"], rate["measured"]
        shown = measured is None or np.isclose(measured, predicted, rtol=1e-6, atol=1e-6)
        note = "" if shown else "  (this run does not show the long run)"
        lines.append(f"    {dynamics:16} {_text(predicted):>10} {_text(measured):>10}{note}")
    lines += ["", "From the game to the GAN", *map(_indented, FROM_GAME_TO_GAN)]
    return "\n".join(lines)


def _indented(sentence):
    lines = textwrap.fill(unbroken(sentence, "\0"), 94).replace("\0", " ")
    return textwrap.indent(lines, "    ")
