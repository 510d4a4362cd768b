import imageio.v3 as imageio
import numpy as np
import pytest
from helpers import contents
from matplotlib.figure import Figure
from PIL import Image

from gan_tf import RunFailed, TrainConfig, UserError, plot_losses
from gan_tf.run import artifacts, images
from gan_tf.run.artifacts import write_gif, write_samples
from gan_tf.run.plots import plot_loss_curves
from gan_tf.run.rundir import RunDir


def test_the_gif_shows_the_epochs_in_order_and_holds_the_last(tmp_path):
    run = RunDir(tmp_path)
    for epoch in [10_000, 9_999, 3]:
        write_samples(run, epoch, np.full([16, 28, 28, 1], epoch / 20_000))
    message = write_gif(run, frame_ms=100, hold_ms=1500)
    frames = imageio.imread(run.gif_path, mode="L")
    assert frames[:, 10, 10].tolist() == [128, 191, 191]
    assert "3 frames of 366 x 390 pixels, 1.7 s" in message and str(run.gif_path) in message
    for frame, epoch in zip(frames, [3, 9_999, 10_000], strict=True):
        np.testing.assert_array_equal(frame[:366], imageio.imread(run.sample_path(epoch)))
    assert (frames[1, 366:] != frames[2, 366:]).any()  # the epoch's number is on it
    with Image.open(run.gif_path) as film:
        assert film.info["loop"] == 0
        durations = []
        for index in range(3):
            film.seek(index)
            durations.append(film.info["duration"])
    assert durations == [100, 100, 1500]


def test_a_gif_needs_frames_and_times(tmp_path):
    run = RunDir(tmp_path)
    with pytest.raises(UserError, match="samples holds no epoch"):
        write_gif(run)
    for name, value in [("frame_ms", 9), ("hold_ms", 655_351), ("hold_ms", 1.5)]:
        with pytest.raises(UserError, match=f"`{name}`"):
            write_gif(run, **{name: value})
    assert contents(tmp_path) == {}


def test_the_epochs_stand_beside_the_training_images(small_run):
    """Left to right: training images, then the epochs whose generator is kept."""
    run = RunDir(small_run)
    shown = images.read_png(run.epochs_path)
    panels = [run.training_images_path, *run.sample_paths().values()]
    pitch = 366 + images.PANEL_GAP
    assert shown.shape == (390, 4 * pitch - images.PANEL_GAP)
    for place, path in enumerate(panels):
        panel = shown[:366, pitch * place : pitch * place + 366]
        np.testing.assert_array_equal(panel, images.read_png(path))
        assert (shown[:, pitch * place + 366 : pitch * (place + 1)] == 255).all()
    captions = [shown[366:, pitch * place : pitch * place + 366] for place in range(4)]
    assert len({caption.tobytes() for caption in captions}) == 4


def test_epochs_are_left_out_that_are_not_there_yet(tmp_path):
    run = RunDir(tmp_path)
    for epoch in [1, 2]:
        write_samples(run, epoch, np.full([16, 28, 28, 1], epoch / 4))
    for epochs, level in [([1, 30], 159), ([30], 191)]:  # the newest where there is none of them
        artifacts.write_epochs(run, epochs)
        shown = images.read_png(run.epochs_path)
        assert shown.shape == (390, 366) and shown[10, 10] == level


def test_losses_are_plotted_with_marks_where_a_snapshot_is(small_run, tmp_path):
    run, before = RunDir(small_run), contents(small_run)
    figure = plot_losses(small_run)
    assert isinstance(figure, Figure) and contents(small_run) == before
    lines, history = figure.axes[0].lines, run.read_history()
    curves = [(line.get_color(), [*line.get_ydata()]) for line in lines if line.get_marker() == "."]
    assert curves == [
        ("#0072b2", [row["discriminator_loss"] for row in history]),
        ("#d55e00", [row["generator_loss"] for row in history]),
    ]
    marks = [line.get_xdata()[0] for line in lines if line.get_linestyle() == ":"]
    assert marks == [epoch for epoch in run.read_config()[0].snapshot_epochs if epoch <= 3] != []
    assert imageio.imread(run.loss_curves_path).shape[:2] == (576, 960)
    with pytest.raises(UserError, match="`run_dir`"):
        plot_losses(tmp_path)
    RunDir(tmp_path).write_config(TrainConfig(), {"gan_tf": "2.0.0"})
    with pytest.raises(UserError, match="history.csv holds no epoch yet"):
        plot_losses(tmp_path)


def test_one_epoch_is_one_point_at_epoch_1(small_run):
    axes = plot_loss_curves(RunDir(small_run).read_history()[:1]).axes[0]
    assert [[*line.get_xdata()] for line in axes.lines if line.get_marker() == "."] == [[1], [1]]
    assert [*axes.get_xticks()] == [1]


def test_a_picture_that_fails_is_warned_of_and_a_lost_run_is_not():
    with pytest.warns(UserWarning, match="could not be made; training continues .ValueError: no"):
        with artifacts.only_warned_of():
            raise ValueError("no font\nat all")
    with pytest.raises(RunFailed), artifacts.only_warned_of():
        raise RunFailed("no space left")
