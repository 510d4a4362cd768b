"""The pictures of a run, made from its tables and grids: loss curves, GIF, epochs side by side."""

import contextlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gan_tf.config import GRID_COUNT, whole_number
from gan_tf.run import images
from gan_tf.run.rundir import RunDir
from gan_tf.system import files
from gan_tf.system.errors import RunFailed, UserError, one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # takes half a second to import

_PLOTTED = [  # columns of history.csv
    f"{network}_loss{end}" for network in ("generator", "discriminator") for end in ("", "_std")
]
_LONGEST_MS = 655_350  # a GIF stores hundredths of a second in 16 bits


def write_samples(run: RunDir, epoch: int, samples) -> np.ndarray:
    """Writes the grid of an epoch's samples, and returns its pixels; see `images.write_samples`."""
    with run.writing(run.sample_path(epoch)) as unfinished:
        return images.write_samples(unfinished, samples)


def write_training_images(run: RunDir, training_images):
    """Writes the first 16 training images, `[count, 28, 28, 1]` uint8, as a grid."""
    with run.writing(run.training_images_path) as unfinished:
        grid = images.make_grid(training_images[:GRID_COUNT], images.ZOOM)
        images.write_png(unfinished, grid)


def plot_losses(run_dir) -> "Figure":
    """Plots the loss curves of a run, for a notebook or another program.

    Args:
      run_dir: folder of a run with at least one complete epoch.

    Raises:
      UserError: the folder holds no run, or its history.csv is damaged or empty.
    """
    from gan_tf.run import plots

    run = RunDir(run_dir)
    config, _ = run.read_config()
    return plots.plot_loss_curves(_history(run), config.snapshot_epochs)


def write_loss_curves(run: RunDir, marked_epochs):
    """Plots loss_curves.png from history.csv."""
    from gan_tf.run import plots

    with run.writing(run.loss_curves_path) as unfinished:
        plots.write(unfinished, plots.plot_loss_curves, _history(run), marked_epochs)


def write_quality(run: RunDir):
    """Plots quality.png from evaluation.csv."""
    from gan_tf.run import plots

    with run.writing(run.quality_path) as unfinished:
        plots.write(unfinished, plots.plot_quality, run.read_evaluation())


def write_epochs(run: RunDir, epochs):
    """Writes epochs.png: training images, and samples of the same noise after some epochs.

    Epochs without a grid are left out. Raises UserError if there is no grid yet, or one is damaged.
    """
    panels = []
    if run.training_images_path.exists():
        panels.append(_captioned(run.training_images_path, "training images"))
    paths = _grids(run)
    for epoch in sorted({*epochs} & {*paths} or {max(paths)}):
        panels.append(_captioned(paths[epoch], f"generated, epoch {epoch}"))
    with run.writing(run.epochs_path) as unfinished:
        images.write_png(unfinished, images.side_by_side(panels))


def plot(run: RunDir, epochs=None) -> list[Path]:
    """Makes loss_curves.png and epochs.png again, and returns their paths.

    `epochs` are shown side by side; by default those with a snapshot. Raises UserError if there is
    no run, it has no complete epoch, or one of `epochs` has no grid.
    """
    config, _ = run.read_config()
    if epochs is None:
        epochs = [*config.snapshot_epochs, config.epochs]
    elif missing := {*epochs} - {*run.sample_paths()}:
        raise UserError(f"`epochs`: {run.samples} holds no grid of epoch {min(missing)}")
    _history(run)  # raises before either file is written
    write_epochs(run, epochs)
    write_loss_curves(run, config.snapshot_epochs)
    return [run.loss_curves_path, run.epochs_path]


def write_gif(run: RunDir, output=None, frame_ms: int = 200, hold_ms: int = 2000) -> str:
    """Writes a GIF of the run's grids, in the order of their epochs.

    Raises UserError if there is no grid yet, or one is damaged or of another size.

    Args:
      run: the run.
      output: path of the GIF; by default training.gif in the run's folder.
      frame_ms: duration of each frame in milliseconds, 10 to 655,350; GIF rounds to tens.
      hold_ms: duration of the last frame, likewise.

    Returns:
      A line that describes the GIF.
    """
    for name, value in [("frame_ms", frame_ms), ("hold_ms", hold_ms)]:
        whole_number(name, value, at_least=10, at_most=_LONGEST_MS)
    paths = _grids(run)
    frames = []
    for epoch, path in paths.items():
        frames.append(_captioned(path, f"epoch {epoch}"))
        if frames[-1].shape != frames[0].shape:
            raise UserError(
                f"{path} is not of the size of the first frame, {next(iter(paths.values()))}:"
                " remove the one that does not belong to the run"
            )
    output = run.gif_path if output is None else Path(output)
    with files.written_whole(output) as unfinished:
        images.write_gif(unfinished, frames, frame_ms, hold_ms)
    height, width = frames[0].shape
    seconds = (frame_ms * (len(frames) - 1) + hold_ms) / 1000
    return (
        f"{output}: {len(frames)} frames of {width} x {height} pixels, {seconds:.1f} s,"
        f" {output.stat().st_size / 1e6:.2f} MB"
    )


def _history(run):
    if history := run.read_history(columns=_PLOTTED):
        return history
    raise UserError(f"{run.history_path} holds no epoch yet")


def _grids(run):
    """Returns the path of each epoch's grid; there is at least one."""
    if paths := run.sample_paths():
        return paths
    raise UserError(f"{run.samples} holds no epoch_*.png yet")


def _captioned(path, text):
    return images.with_caption(images.read_png(path), text)


@contextlib.contextmanager
def only_warned_of():
    """Turns an error of a plotting library into a warning, since training matters more.

    A full disk, or a run that no longer belongs to this process, still ends the run.
    """
    try:
        yield
    except RunFailed:
        raise
    except Exception as error:
        warnings.warn(f"a picture could not be made; training continues ({one_line(error)})")
