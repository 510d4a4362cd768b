"""gan_tf.minimax.figures: what is plotted is what was computed. test_cli looks at the files."""

import numpy as np
import pytest
from matplotlib.text import Text

from gan_tf.minimax import BILINEAR_GAME, HOMEWORK_GAME, QuadraticGame, figures

pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # Matplotlib's, of its own libraries
]


def line_with_label(axes, start_of_label):
    (line,) = [line for line in axes.get_lines() if line.get_label().startswith(start_of_label)]
    return line


@pytest.mark.parametrize(
    "game, start, step_x, step_y",
    [
        (QuadraticGame(1.23456, 2.34567e10, -1.23456e-12), (1e-30, 0), 1e-100, 1.23456e99),
        *[
            pytest.param(*arguments, marks=pytest.mark.campaign)  # layouts of seconds
            for arguments in (
                (HOMEWORK_GAME, (1, 1), 1 / 16, 1 / 16),
                (BILINEAR_GAME, (0, 0), 0.1, 0.2),
            )
        ],
    ],
)
def test_nothing_is_cut_in_the_figures_of_any_game(game, start, step_x, step_y):
    for figure in [
        figures.surface_figure(game, start, step_x, step_y, 20),
        figures.paths_figure(game, start),
        figures.convergence_figure(game, start, step_x, step_y, 20),
        figures.step_sizes_figure(game),
    ]:
        figure.draw_without_rendering()
        width, height = figure.bbox.size
        (suptitle,) = [text for text in figure.findobj(Text) if "f = " in text.get_text()]
        titles = [axes.title for axes in figure.get_axes() if axes.get_title()]
        for text in (suptitle, *titles):
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= width and box.y1 <= height, text.get_text()
        for one, other in zip(titles[:-1], titles[1:]):
            assert not one.get_window_extent().overlaps(other.get_window_extent())


def test_surface_holds_both_paths():
    axes = figures.surface_figure(HOMEWORK_GAME, (1, 1), 1 / 4, 1 / 4, 50).get_axes()[0]
    x, y, z = line_with_label(axes, "x descends").get_data_3d()
    np.testing.assert_array_equal(x, 0.5 ** np.arange(51))  # a quarter of the step size: 1 - 8/16
    np.testing.assert_array_equal(z, 0)
    x, y, z = line_with_label(axes, "plain descent").get_data_3d()
    np.testing.assert_array_equal(y, 1.5 ** np.arange(len(y)))
    np.testing.assert_array_equal(z, 4 * x**2 - 4 * y**2)
    assert z[-1] < 0 and y[-1] <= axes.get_ylim()[1]


def test_paths_are_runs_with_the_step_sizes_in_the_title():
    panels = figures.paths_figure(HOMEWORK_GAME, (1, 0.5)).get_axes()
    two_cycle = panels[3].get_lines()[0].get_xydata()
    np.testing.assert_array_equal(two_cycle[::2], np.tile([1, 0.5], (16, 1)))
    np.testing.assert_array_equal(two_cycle[1::2], np.tile([-1, -0.5], (15, 1)))
    assert not panels[1].get_lines()[0].get_xydata()[1].any()
    titles = [panel.get_title() for panel in panels]
    assert "0.25" in titles[3] and "rate 1: on the border" in titles[3]
    assert "rate 0: converges" in titles[1]
    assert "diverges" in titles[4] and "diverges" in titles[5]


def test_convergence_shows_the_predicted_slope_through_the_measured_points():
    figure = figures.convergence_figure(HOMEWORK_GAME, (1, 1), 1 / 16, 1 / 16, 50)
    distances, value, lower = figure.get_axes()
    for name, rate in {"simultaneous": 0.5, "descent on both": 1.5, "extragradient": 0.75}.items():
        measured = line_with_label(distances, name)
        predicted = distances.get_lines()[distances.get_lines().index(measured) - 1]
        slope = np.diff(np.log(predicted.get_ydata()))
        np.testing.assert_allclose(slope, np.log(rate), atol=1e-9)
        # Two modes, one of which vanishes after a few steps: on the line in the end.
        np.testing.assert_allclose(
            predicted.get_ydata()[-10:], measured.get_ydata()[-10:], rtol=1e-6
        )
    assert value.get_title().startswith("f stays 0")
    assert all(not line.get_ydata().any() for line in value.get_lines())
    near, far = (line.get_ydata() for line in lower.get_lines())
    np.testing.assert_allclose(near, np.sqrt(2) * 0.5 ** np.arange(31))
    np.testing.assert_allclose(far, np.sqrt(2) * 1.16 ** np.arange(31))
    # From y = 0 plain descent does not have the predicted slope: no line is shown.
    figure = figures.convergence_figure(HOMEWORK_GAME, (1, 0), 1 / 16, 1 / 16, 50)
    distances = figure.get_axes()[0]
    line = line_with_label(distances, "descent on both: 1.5 (0.5 in this run)")
    assert [one for one in distances.get_lines() if one.get_color() == line.get_color()] == [line]


def test_measured_dots_lie_on_the_rate():
    left, square = figures.step_sizes_figure(HOMEWORK_GAME).get_axes()[:2]
    for label in ("measured", "predicted"):
        sizes, rates = line_with_label(left, label).get_data()
        np.testing.assert_allclose(rates, np.abs(1 - 8 * sizes), atol=1e-9)
    for line in square.get_lines():
        inside = (line.get_xdata()[0] < 0.25) and (line.get_ydata()[0] < 0.25)
        assert line.get_marker() == ("o" if inside else "x")
    assert len(square.get_lines()) == 64


def test_rotation_shows_a_spiral_and_an_ellipse():
    plane, distance = figures.rotation_figure().get_axes()
    spiral = line_with_label(distance, "simultaneous").get_ydata()
    np.testing.assert_allclose(spiral, np.hypot(1, 0.25) ** np.arange(41))
    x, y = line_with_label(plane, "alternating").get_data()
    np.testing.assert_allclose(x**2 + y**2 - 0.25 * x * y, 1)
