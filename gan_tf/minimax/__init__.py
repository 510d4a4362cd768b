"""The assignment's minimax game: how it is played, and the theory that predicts the outcome.

Only NumPy is required. docs/minimax.md derives the formulas that are used here.
"""

from gan_tf.minimax.dynamics import DIVERGENCE_BOUND, DYNAMICS, MAX_STEPS, simulate
from gan_tf.minimax.games import BILINEAR_GAME, HOMEWORK_GAME, QuadraticGame, formula
from gan_tf.minimax.theory import measured_rate, predicted_rate, step_size_limits, update_matrix

__all__ = [
    "BILINEAR_GAME",
    "DIVERGENCE_BOUND",
    "DYNAMICS",
    "HOMEWORK_GAME",
    "MAX_STEPS",
    "QuadraticGame",
    "formula",
    "measured_rate",
    "predicted_rate",
    "simulate",
    "step_size_limits",
    "update_matrix",
]
