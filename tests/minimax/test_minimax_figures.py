"""gan_tf.minimax.figures: the files that it writes, and that what is drawn is what was computed."""

import subprocess
import sys

import imageio.v3 as imageio
import numpy as np
import pytest
from matplotlib.text import Text

from gan_tf import minimax
from gan_tf.minimax import BILINEAR_GAME, HOMEWORK_GAME, QuadraticGame, figures
from gan_tf.system.errors import UserError

pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # Matplotlib's, of its own libraries
]

NAMES = [
    "minimax_surface.png", "minimax_paths.png", "minimax_convergence.png",
    "minimax_step_sizes.png", "minimax_rotation.gif",
]  # fmt: skip


def lines_with_label(axes, start_of_label):
    return [line for line in axes.get_lines() if line.get_label().startswith(start_of_label)]


def test_writes_every_file_whole_and_leaves_nothing_else(tmp_path):
    folder = tmp_path / "made" / "here"
    paths = figures.write_figures(output_dir=folder)
    assert paths == [folder / name for name in NAMES]
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)
    for path in paths[:-1]:
        image = imageio.imread(path)
        assert image.shape[1] >= 1200  # sharp at README width, 800 px, and on a dense screen
        assert np.ptp(image[..., :3]) == 255
    assert paths[-1].stat().st_size < 2_000_000
    frames = imageio.imread(paths[-1])
    assert frames.shape == (41, 420, 800, 3)
    assert all((one != other).any() for one, other in zip(frames[:-1], frames[1:]))
    assert imageio.immeta(paths[-1]) | {"loop": 0, "duration": 100} == imageio.immeta(paths[-1])


@pytest.mark.parametrize(
    "wrong",
    [{"step_x": 0}, {"steps": 0}, {"start": (float("nan"), 1)}, {"output_dir": ""}],
)
def test_bad_arguments_make_no_folder(tmp_path, monkeypatch, wrong):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError):
        figures.write_figures(**{"output_dir": "new"} | wrong)
    assert list(tmp_path.iterdir()) == []


def drawn(game, start, step_x, step_y):
    return [
        figures.surface_figure(game, start, step_x, step_y, 20),
        figures.paths_figure(game, start),
        figures.convergence_figure(game, start, step_x, step_y, 20),
        figures.step_sizes_figure(game),
    ]


@pytest.mark.parametrize(
    "game, start, step_x, step_y",
    [
        (QuadraticGame(-1.23456, -2.34567e10, 1.23456e-12), (1e-30, 0), 1e-100, 1.23456e99),
        *[
            pytest.param(*case, marks=pytest.mark.campaign)  # the layout takes seconds
            for case in [
                (HOMEWORK_GAME, (1, 1), 1 / 16, 1 / 16),
                (QuadraticGame(1.23456e14, 2.34567e-14), (-1.2345e29, 1), 1.2345e-99, 1e-100),
                (BILINEAR_GAME, (0, 0), 0.1, 0.2),
                (QuadraticGame(-1, 2, 3), (1, 0.5), 0.1, 0.2),
            ]
        ],
    ],
)
def test_figures_of_any_game_are_labelled_and_nothing_is_cut(game, start, step_x, step_y):
    for figure in drawn(game, start, step_x, step_y):
        figure.draw_without_rendering()
        width, height = figure.bbox.size
        texts = [figure._suptitle, *figure.findobj(Text)]
        assert not game.is_minimax or not any("stationary" in text.get_text() for text in texts)
        assert game.is_minimax or not any("saddle" in text.get_text() for text in texts)
        titles = [axes.title for axes in figure.get_axes() if axes.get_title()]
        for text in (figure._suptitle, *titles):
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= width and box.y1 <= height, text.get_text()
        for one, other in zip(titles[:-1], titles[1:]):
            assert not one.get_window_extent().overlaps(other.get_window_extent())
        for axes in figure.get_axes():
            # Axes without numbers share those of a neighbour; a colour bar has no x axis.
            colour_bar = axes.get_label() == "<colorbar>"
            numbered = axes.axison and axes.xaxis.get_tick_params().get("labelbottom", True)
            assert axes.get_xlabel() or colour_bar or not numbered


def test_surface_holds_both_paths():
    figure = figures.surface_figure(HOMEWORK_GAME, (1, 1), 1 / 4, 1 / 4, 50)
    axes = figure.get_axes()[0]
    (ascent,) = lines_with_label(axes, "x descends")
    (descent,) = lines_with_label(axes, "plain descent")
    x, y, z = ascent.get_data_3d()
    np.testing.assert_array_equal(x, 0.5 ** np.arange(51))  # a quarter of the step size: 1 - 8/16
    np.testing.assert_array_equal(z, 0)
    x, y, z = descent.get_data_3d()
    np.testing.assert_array_equal(y, 1.5 ** np.arange(len(y)))
    np.testing.assert_array_equal(z, 4 * x**2 - 4 * y**2)
    assert z[-1] < 0 and y[-1] <= axes.get_ylim()[1]


def test_paths_are_runs_with_the_step_sizes_in_the_title():
    panels = figures.paths_figure(HOMEWORK_GAME, (1, 0.5)).get_axes()
    assert len(panels) == 7  # and the colour bar
    two_cycle = panels[3].get_lines()[0].get_xydata()
    np.testing.assert_array_equal(two_cycle[::2], np.tile([1, 0.5], (16, 1)))
    np.testing.assert_array_equal(two_cycle[1::2], np.tile([-1, -0.5], (15, 1)))
    assert "0.25" in panels[3].get_title() and "rate 1: on the border" in panels[3].get_title()
    assert "rate 0: converges" in panels[1].get_title()
    assert not panels[1].get_lines()[0].get_xydata()[1].any()
    assert "diverges" in panels[4].get_title() and "diverges" in panels[5].get_title()


def test_convergence_draws_the_predicted_slope_through_the_measured_points():
    figure = figures.convergence_figure(HOMEWORK_GAME, (1, 1), 1 / 16, 1 / 16, 50)
    distances, value, gaps = figure.get_axes()
    rates = {"simultaneous": 0.5, "descent on both": 1.5, "extragradient": 0.75}
    for name, rate in rates.items():
        (measured,) = lines_with_label(distances, name)
        at, distance = measured.get_data()
        index = distances.get_lines().index(measured)
        predicted = distances.get_lines()[index - 1]
        slope = np.diff(np.log(predicted.get_ydata()))
        np.testing.assert_allclose(slope, np.log(rate), atol=1e-9)
        # One mode from the start, or two that part after a few steps: on the line in the end.
        np.testing.assert_allclose(predicted.get_ydata()[-10:], distance[-10:], rtol=1e-6)
    assert value.get_title().startswith("f stays 0")
    assert all(not line.get_ydata().any() for line in value.get_lines())
    near, near_gap, far, far_gap = (line.get_ydata() for line in gaps.get_lines())
    assert near[-1] < 1e-6 < 10 < far[-1]
    np.testing.assert_allclose(near_gap, 4 * near**2, rtol=1e-9)
    np.testing.assert_allclose(far_gap, 4 * far**2, rtol=1e-9)
    # From y = 0 plain descent does not follow the predicted slope: none is drawn.
    figure = figures.convergence_figure(HOMEWORK_GAME, (1, 0), 1 / 16, 1 / 16, 50)
    distances = figure.get_axes()[0]
    (line,) = lines_with_label(distances, "descent on both: 1.5 (here 0.5)")
    assert [other for other in distances.get_lines() if other.get_color() == line.get_color()] == [
        line
    ]


def test_measured_dots_lie_on_the_rate():
    figure = figures.step_sizes_figure(HOMEWORK_GAME)
    left, square = figure.get_axes()[:2]
    for label in ("measured", "predicted"):
        (line,) = lines_with_label(left, label)
        sizes, rates = line.get_data()
        np.testing.assert_allclose(rates, np.abs(1 - 8 * sizes), atol=1e-9)
    for line in square.get_lines():
        inside = (line.get_xdata()[0] < 0.25) and (line.get_ydata()[0] < 0.25)
        assert line.get_marker() == ("o" if inside else "x")
    assert len(square.get_lines()) == 64


def test_the_animation_shows_trails_that_grow_and_an_ellipse_that_holds():
    frames, durations = figures.rotation_frames(steps=20)
    assert frames.dtype == np.uint8 and len(frames) == len(durations) == 21
    ink = (frames != frames[0]).any(axis=-1).sum(axis=(1, 2))
    assert ink[20] > ink[10] > ink[1] > 0
    # A frame adds to the axes drawn once: nearly all of the picture stays as it is.
    assert ink[20] < 0.05 * frames[0, ..., 0].size
    run = minimax.simulate(BILINEAR_GAME, "alternating", (1, 0), 1.5, 1.5, 1000).trajectory
    for x, y in (figures._conserved_ellipse(1.5).T, run.T):
        np.testing.assert_allclose(x**2 + y**2 - 1.5 * x * y, 1, atol=1e-9)
        assert np.hypot(x, y).max() == pytest.approx(2, abs=1e-3)
        assert np.hypot(x, y).min() == pytest.approx(np.sqrt(2 / 3.5), abs=1e-3)


def test_draws_without_pyplot():
    code = "import sys, gan_tf.minimax.figures; print('matplotlib.pyplot' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"
