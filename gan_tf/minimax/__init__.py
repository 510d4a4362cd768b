"""The assignment's minimax toy: games, ways to play them, and the theory that predicts each way.

Needs NumPy only. docs/minimax.md derives what is computed here.
"""

from gan_tf.minimax.dynamics import DIVERGENCE_BOUND, DYNAMICS, MAX_STEPS, Run, simulate
from gan_tf.minimax.games import BILINEAR_GAME, HOMEWORK_GAME, QuadraticGame, formula
from gan_tf.minimax.theory import measured_rate, predicted_rate, step_size_range, update_matrix

__all__ = [
    "BILINEAR_GAME",
    "DIVERGENCE_BOUND",
    "DYNAMICS",
    "HOMEWORK_GAME",
    "MAX_STEPS",
    "QuadraticGame",
    "Run",
    "formula",
    "measured_rate",
    "predicted_rate",
    "simulate",
    "step_size_range",
    "update_matrix",
]
