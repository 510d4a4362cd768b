"""Part 1 of the assignment for a page: the minimax game."""

from markupsafe import Markup, escape

from gan_tf.minimax import BILINEAR_GAME, DYNAMICS, HOMEWORK_GAME, QuadraticGame, predicted_rate
from gan_tf.minimax.answers import FROM_GAME_TO_GAN, STEP_SIZE, sections
from gan_tf.minimax.games import formula, typeset, unbroken


def toy() -> dict:
    """Returns the contents of part 1.

    Returns:
      sections: `gan_tf.minimax.answers.sections` of the assignment's game.
      games: the formulas of three games.
      rates: {dynamics: the predicted rate in each of these games}.
      to_the_gan: sentences.
    """
    games = [HOMEWORK_GAME, BILINEAR_GAME, QuadraticGame(4.0, 4.0, 8.0)]
    return {
        "sections": sections(),
        "games": [typeset(formula(game)) for game in games],
        "rates": {
            name: [predicted_rate(game, name, STEP_SIZE, STEP_SIZE) for game in games]
            for name in DYNAMICS
        },
        "to_the_gan": FROM_GAME_TO_GAN,
    }


def as_html(text) -> Markup:
    """Returns a sentence of part 1 as HTML."""
    html = str(escape(typeset(unbroken(text, "\u00a0"))))
    return Markup(html.replace("η_x", "η<sub>x</sub>").replace("η_y", "η<sub>y</sub>"))
