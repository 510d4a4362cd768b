"""Uses every public name as a program would; .ci/run has mypy check it, and nothing runs it."""

import dataclasses

import numpy as np

import gan_tf
from gan_tf import RunFailed, TrainConfig, UserError, load_snapshot, train

config = TrainConfig(epochs=1, max_images=6400, run_dir=f"runs/{gan_tf.__version__}")
try:
    history = train(config, images=np.zeros([9, 28, 28, 1], np.uint8))
except (UserError, RunFailed) as error:
    print(str(error))
print(history[-1]["generator_loss"])
train(dataclasses.replace(gan_tf.load_config("runs/try"), epochs=10), on_epoch=print)
gan_tf.plot_losses("runs/try").savefig("losses.png")
print(gan_tf.write_report(["runs/try"], live=True).name)
snapshot = load_snapshot("runs/try", epoch="best", averaged=False)
print(snapshot.sample(64, seed=1, keep=0.5).shape, snapshot.interpolate([0, 1, 2]).mean())
boots, sampled = gan_tf.sample_class(gan_tf.load_pretrained("best"), "ankle boot", count=8)
print(boots.max(), sampled + 1)
print(gan_tf.export_generator(snapshot, "generator.keras", "keras").suffix)
print(gan_tf.evaluate_snapshot(snapshot, count=1000)["fcd"])
print([row["fcd"] for row in gan_tf.evaluate_run("runs/try")])
gan_tf.write_neighbours("neighbours.png", snapshot, count=4)
