"""Part 1 of the homework for the page: the answers, computed by the functions of the toy itself."""

from gan_tf.minimax import (
    BILINEAR_GAME,
    DYNAMICS,
    HOMEWORK_GAME,
    QuadraticGame,
    measured_rate,
    predicted_rate,
    simulate,
    step_size_range,
)

STEP_SIZE = 1 / 16
_COUPLED_GAME = QuadraticGame(4.0, 4.0, 8.0)
_STEPS = 50


def toy() -> dict:
    """Returns the numbers of part 1.

    Returns:
      saddle_point, x_range, y_range: as `gan_tf.minimax` computes them for the homework's game.
      inside, outside: the measured rate with step sizes of 0.99 and 1.01 times the upper end.
      descent: the measured rate of gradient descent on both players.
      rates: for each dynamics its name and, for three games, the predicted rate.
    """
    x_range = step_size_range(HOMEWORK_GAME, "simultaneous", "x")
    measured = {
        name: measured_rate(
            simulate(HOMEWORK_GAME, "simultaneous", (1, 1), *[factor * x_range[1]] * 2, _STEPS)[0]
        )
        for name, factor in (("inside", 0.99), ("outside", 1.01))
    }
    descent = simulate(HOMEWORK_GAME, "descent_on_both", (1, 1), STEP_SIZE, STEP_SIZE, _STEPS)
    return {
        "saddle_point": HOMEWORK_GAME.saddle_point().tolist(),
        "x_range": x_range,
        "y_range": step_size_range(HOMEWORK_GAME, "simultaneous", "y"),
        **measured,
        "descent": measured_rate(descent.trajectory),
        "rates": [
            (
                name.replace("_", " "),
                *(
                    predicted_rate(game, name, STEP_SIZE, STEP_SIZE)
                    for game in (HOMEWORK_GAME, BILINEAR_GAME, _COUPLED_GAME)
                ),
            )
            for name in DYNAMICS
        ],
        "dynamics": list(DYNAMICS),
    }
