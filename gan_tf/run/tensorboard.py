"""Writes what TensorBoard shows of a run, without TensorBoard itself.

`tf.summary.scalar` and `tf.summary.image` need TensorBoard, so this module writes the same records.
"""

import contextlib
from pathlib import Path

import imageio.v3 as imageio
import tensorflow as tf

from gan_tf.system.files import disk_full

# The group of a column of the history is the first of these whose word is part of its name.
_GROUPS = {
    "loss": "_loss",
    "probability": "_probability",
    "accuracy": "_accuracy",
    "gradient": "_gradient_",
    "speed": "second",
    "quality": "",
}


def make_writer(folder):
    """Returns a summary writer with a new file in a folder; RunFailed if the disk is full."""
    with _full_disk_reported(folder):
        return tf.summary.create_file_writer(str(folder))


def write_epoch(folder, row: dict, grid):
    """Writes an epoch to the default summary writer, and from there into its file.

    Args:
      folder: the writer's, to be named if the disk is full.
      row: a row of the history; each entry but `epoch` and `step` becomes a scalar `GROUP/NAME`.
      grid: `[height, width]` uint8.
    """
    epoch = row["epoch"]
    height, width = grid.shape
    png = imageio.imwrite("<bytes>", grid, extension=".png")
    with _full_disk_reported(folder):
        for name in (name for name in row if name not in ("epoch", "step")):
            group = next(group for group, word in _GROUPS.items() if word in name)
            value = tf.constant(row[name], tf.float32)
            _write(f"{group}/{name}", value, epoch, plugin="scalars")
        _write("samples", tf.constant([str(width), str(height), png]), epoch, plugin="images")
        tf.summary.flush()


def _write(name, value, epoch, plugin):
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = plugin
    tf.summary.write(name, value, step=epoch, metadata=metadata)


@contextlib.contextmanager
def _full_disk_reported(folder):
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise disk_full(Path(folder, "events.out.tfevents")) from error
