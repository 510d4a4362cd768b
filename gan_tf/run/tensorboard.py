"""What TensorBoard shows of a run. TensorBoard reads it, but is not needed to write it.

`tf.summary.scalar` and `tf.summary.image` do need it, so these write the same records by hand.
"""

import contextlib
from pathlib import Path

import imageio.v3 as imageio
import tensorflow as tf

from gan_tf.system.files import disk_full


def make_writer(folder):
    """Returns a summary writer with a new file in a folder; RunFailed if the disk is full."""
    with _full_disk_told(folder):
        return tf.summary.create_file_writer(str(folder))


def write_epoch(folder, row: dict, grid):
    """Writes an epoch to the default summary writer, and from there into its file.

    Args:
      folder: the writer's, to be named if the disk is full.
      row: a row of the history; each entry becomes a scalar of that name.
      grid: `[height, width]` uint8.
    """
    epoch = row["epoch"]
    height, width = grid.shape
    png = imageio.imwrite("<bytes>", grid, extension=".png")
    with _full_disk_told(folder):
        for name, value in row.items():
            _write(name, tf.constant(value, tf.float32), epoch, plugin="scalars")
        _write("samples", tf.constant([str(width), str(height), png]), epoch, plugin="images")
        tf.summary.flush()


def _write(name, value, epoch, plugin):
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = plugin
    tf.summary.write(name, value, step=epoch, metadata=metadata)


@contextlib.contextmanager
def _full_disk_told(folder):
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise disk_full(Path(folder, "events.out.tfevents")) from error
