"""What TensorBoard shows of a run. TensorBoard reads it, but is not needed to write it.

`tf.summary.scalar` and `tf.summary.image` do need it, so these write the same records by hand.
"""

import imageio.v3 as imageio
import tensorflow as tf


def write_epoch(row: dict, grid):
    """Writes an epoch to the default summary writer.

    Args:
      row: a row of the history; each entry becomes a scalar of that name.
      grid: `[height, width]` uint8.
    """
    epoch = row["epoch"]
    for name, value in row.items():
        _write(name, tf.constant(value, tf.float32), epoch, plugin="scalars")
    height, width = grid.shape
    png = imageio.imwrite("<bytes>", grid, extension=".png")
    _write("samples", tf.constant([str(width), str(height), png]), epoch, plugin="images")


def _write(name, value, epoch, plugin):
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = plugin
    tf.summary.write(name, value, step=epoch, metadata=metadata)
