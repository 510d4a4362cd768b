import imageio.v3 as imageio
import numpy as np
import tensorflow as tf

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
    groups = {
        "loss": ["generator_loss", "discriminator_loss"],
        "probability": ["real_probability", "fake_probability"],
        "accuracy": ["real_accuracy", "fake_accuracy"],
        "gradient": ["generator_gradient_norm", "discriminator_gradient_norm"],
        "speed": ["seconds", "images_per_second"],
        "quality": ["variety"],
    }
    groups["loss"] += ["generator_loss_std", "discriminator_loss_std"]
    expected = {
        (f"{group}/{name}", row["epoch"]): np.float32(row[name])
        for row in run.read_history()
        for group, names in groups.items()
        for name in names
    }
    assert found["scalars"] == expected
    for epoch, grid in run.sample_paths().items():
        width, height, png = found["images"]["samples", epoch]
        assert (width, height) == (b"366", b"366")
        np.testing.assert_array_equal(imageio.imread(png), imageio.imread(grid))
