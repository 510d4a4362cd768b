"""Training of a GAN, from its first step or its newest checkpoint to its last epoch."""

import contextlib
import dataclasses
import math

import tensorflow as tf

from gan_tf import data
from gan_tf.config import OWN_IMAGES, TrainConfig
from gan_tf.distributed import distribution
from gan_tf.gan import METRICS
from gan_tf.noise import make_noise
from gan_tf.recording import open_record
from gan_tf.run.rundir import RunDir
from gan_tf.system import console, interrupts
from gan_tf.system.errors import RunFailed, UserError, one_line

# What TensorFlow and oneDNN raise when memory runs out.
_OUT_OF_MEMORY = (tf.errors.ResourceExhaustedError, tf.errors.AbortedError, MemoryError)


def train(
    config: TrainConfig,
    overwrite: bool = False,
    images=None,
    on_epoch=None,
    distribute: str | None = None,
    join_seconds: int = 300,
) -> list[dict]:
    """Trains a DCGAN, or resumes the run in `config.run_folder` where it stopped.

    Sets the global random seeds of Keras, NumPy and Python. After Ctrl-C or SIGTERM the run is
    saved before it stops; a second signal stops it at once.

    Args:
      config: the settings of the run.
      overwrite: replace the run in the folder, once the new one has its first checkpoint.
      images: your own training images in place of `config.dataset`: `[count, 28, 28, 1]` or
        `[count, 28, 28]`, uint8 in [0, 255]. They are copied. Their SHA-256 is recorded in
        config.json, so that the run resumes only with the same images.
      on_epoch: called with a copy of each new row of history.csv, after its epoch is saved.
      distribute: share each batch with other processes, which call this function too, or with
        other devices: "workers", "slurm" or "mirrored"; see docs/scaling.md.
      join_seconds: seconds to wait for the other processes.

    Returns:
      The rows of history.csv, one dict per epoch. Among several processes, only the first one
      returns them.

    Raises:
      UserError: the run folder, the data or the settings do not fit; nothing was changed.
      RunFailed: a loss or a gradient is no longer finite, the disk is full, another process has
        taken the folder, or another worker is lost; what was saved before is kept.
      KeyboardInterrupt: after Ctrl-C; SystemExit(143) after SIGTERM.
    """
    if images is not None:
        images = data.own_images(images)
        config = dataclasses.replace(config, dataset=OWN_IMAGES + data.checksum(images)[:16])
    run = RunDir(config.run_folder)
    if not overwrite and run.is_finished(config):
        console.say_finished(run.path, config.epochs)
        return run.read_history()
    with (
        _lack_of_memory_explained(),
        distribution.start(distribute, config, join_seconds) as workers,
        open_record(run, config, overwrite, on_epoch, workers) as record,
    ):
        if images is None:
            images = data.load_images(config)  # [count, 28, 28, 1] uint8
        if config.batch_size > len(images):
            raise UserError(
                f"`batch_size` {config.batch_size} is larger than the data set:"
                f" {len(images)} images"
            )
        record.check_images(images)
        gan = workers.make_gan(config)
        steps_per_epoch = math.ceil(len(images) / config.batch_size)
        record.begin_or_resume(gan, steps_per_epoch)  # restores the newest checkpoint, if any
        # Batches follow from seed and epoch, noise from seed and step: a resumed run has the same.
        epochs_done, first_step = divmod(gan.steps_done, steps_per_epoch)
        with interrupts.StopRequest() as stop_request:
            for epoch in range(epochs_done + 1, config.epochs + 1):
                for real_images in data.batches(
                    images, config.batch_size, config.seed, epoch, first_step
                ):
                    noise = make_noise(
                        len(real_images), config.latent_dim, config.seed, gan.steps_done
                    )
                    metrics = gan.train_step(real_images, noise)
                    _check_finite(metrics, epoch, gan.steps_done, run)
                    record.after_step(metrics, stop_request)
                record.after_epoch(epoch, stop_request)
                first_step = 0  # only a resumed epoch begins later
        return record.at_end()


def _check_finite(metrics, epoch, step, run):
    """Stops a run that has diverged, before its networks are saved."""
    for name in METRICS:
        if not math.isfinite(value := float(metrics[name])):
            raise RunFailed(
                f"{name} is {value} at step {step}, in epoch {epoch}: start again in another"
                " `run_dir` with a lower `learning_rate` (the last finite state is in"
                f" {run.checkpoints})"
            )


@contextlib.contextmanager
def _lack_of_memory_explained():
    try:
        yield
    except _OUT_OF_MEMORY as error:
        raise RunFailed(f"not enough memory, or TensorFlow gave up: {one_line(error)}") from error
