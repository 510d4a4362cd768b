"""The homework's minimax toy: games, ways to play them, and the theory that predicts each way.

Needs NumPy only. docs/minimax.md derives what is computed here.
"""

from gan_tf.minimax.dynamics import (
    DIVERGENCE_BOUND,
    DYNAMICS,
    MAX_STEPS,
    Run,
    check_arguments,
    descent_on_both,
    proximal_point_exists,
    simulate,
    simultaneous,
)
from gan_tf.minimax.games import (
    BILINEAR_GAME,
    HOMEWORK_GAME,
    Game,
    QuadraticGame,
    formula,
    linear_form,
)
from gan_tf.minimax.theory import (
    measured_rate,
    predicted_rate,
    spectral_radius,
    step_size_range,
    update_matrix,
)

__all__ = [
    "BILINEAR_GAME",
    "DIVERGENCE_BOUND",
    "DYNAMICS",
    "HOMEWORK_GAME",
    "MAX_STEPS",
    "Game",
    "QuadraticGame",
    "Run",
    "check_arguments",
    "descent_on_both",
    "formula",
    "linear_form",
    "measured_rate",
    "predicted_rate",
    "proximal_point_exists",
    "simulate",
    "simultaneous",
    "spectral_radius",
    "step_size_range",
    "update_matrix",
]
