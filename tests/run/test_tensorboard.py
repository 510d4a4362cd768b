import imageio.v3 as imageio
import numpy as np
import tensorflow as tf
from helpers import SMALL_STEPS

from gan_tf.run.rundir import RunDir


def test_tensorboard_finds_every_epochs_scalars_and_image(small_run):
    """Read as TensorBoard reads it: records of Event messages, told apart by their plugin."""
    (path,) = small_run.glob("events.out.tfevents.*")
    found = {"scalars": {}, "images": {}}
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        event = tf.compat.v1.Event.FromString(record)
        for value in event.summary.value:
            plugin = value.metadata.plugin_data.plugin_name
            found[plugin][value.tag, event.step] = tf.make_ndarray(value.tensor)
    run = RunDir(small_run)
    expected = {
        (name, row["epoch"]): np.float32(value)
        for row in run.read_history()
        for name, value in row.items()
    }
    assert found["scalars"] == expected
    assert found["scalars"]["step", 3] == 3 * SMALL_STEPS
    for epoch, grid in run.sample_paths().items():
        width, height, png = found["images"]["samples", epoch]
        assert (width, height) == (b"366", b"366")
        np.testing.assert_array_equal(imageio.imread(png), imageio.imread(grid))
