"""From a run on disk to its generator, and from noise to images."""

import dataclasses
import io

import numpy as np
import tensorflow as tf

from gan_tf import checkpoints, files, images
from gan_tf.config import whole_number
from gan_tf.errors import UserError
from gan_tf.models import make_generator
from gan_tf.rundir import RunDir

FIXED_NOISE_COUNT = 16  # images in a run's own grids, as in the TensorFlow tutorial
_FIXED_NOISE_INDEX = -1  # training steps count up from 0
_BATCH = 256


def make_noise(count: int, latent_dim: int, seed: int, index: int) -> tf.Tensor:
    """Returns noise for the generator as a pure function of its arguments.

    Args:
      count: how many vectors.
      latent_dim: length of each.
      seed: seed of the run.
      index: which draw: the number of the training step, say.

    Returns:
      `[count, latent_dim]` float32, unit Gaussian.
    """
    return _unit_gaussian(count, latent_dim, tf.constant([seed, index], tf.int64))


@tf.function  # ten times as fast as the same operations one by one
def _unit_gaussian(count, latent_dim, seed):
    # Left to choose, TensorFlow takes another algorithm under XLA, and with it other numbers.
    return tf.random.stateless_normal([count, latent_dim], seed, alg="philox")


def make_fixed_noise(latent_dim: int, seed: int) -> tf.Variable:
    """Returns the noise that a run draws its samples from after every epoch: `[16, latent_dim]`."""
    noise = make_noise(FIXED_NOISE_COUNT, latent_dim, seed, _FIXED_NOISE_INDEX)
    return tf.Variable(noise, trainable=False, name="fixed_noise")


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A trained generator, the noise of its run's own samples, and where it comes from."""

    generator: tf.keras.Sequential
    fixed_noise: tf.Variable
    origin: str

    def sample(self, count: int = 64, seed: int = 0) -> np.ndarray:
        """Draws new images.

        Args:
          count: how many; the first ones are the same for every count, up to rounding.
          seed: seed of the noise.

        Returns:
          `[count, 28, 28, 1]` float32 in [-1, 1].

        Raises:
          UserError: a number is out of range.
        """
        count = whole_number("count", count, at_least=1)
        seed = whole_number("seed", seed, at_least=0, at_most=2**32 - 1)
        latent_dim = self.fixed_noise.shape[1]
        batches = []
        for index, first in enumerate(range(0, count, _BATCH)):
            noise = make_noise(_BATCH, latent_dim, seed, index)[: count - first]
            batches.append(generate(self.generator, noise))
        return np.concatenate(batches)

    def sample_training_noise(self) -> np.ndarray:
        """Draws the run's own samples again: `[16, 28, 28, 1]` float32 in [-1, 1]."""
        return generate(self.generator, self.fixed_noise)


def generate(generator, noise) -> np.ndarray:
    """Draws images with BatchNorm in inference mode.

    Args:
      generator: Keras model from `[batch, latent_dim]` to `[batch, 28, 28, 1]`.
      noise: `[count, latent_dim]` float32.

    Returns:
      `[count, 28, 28, 1]` float32 in [-1, 1].
    """
    return generator(noise, training=False).numpy()


def load_snapshot(run_dir, epoch: int | None = None) -> Snapshot:
    """Restores the generator of a run.

    Args:
      run_dir: folder of the run.
      epoch: one of the run's snapshots; by default the latest one, or while there is none the
        newest checkpoint of the training.

    Raises:
      UserError: there is no such run or snapshot (the text lists those that exist), or it is
        damaged.
    """
    run = RunDir(run_dir)
    config, _ = run.read_config()
    epochs = run.snapshot_epochs()
    if epoch is None and epochs:
        epoch = epochs[-1]
    if epoch in epochs:
        path, origin = run.snapshot_path(epoch), f"epoch {epoch}"
    elif epoch is None and (path := checkpoints.newest(run.checkpoints)):
        origin = f"checkpoint {path.name}"
    else:
        existing = ", ".join(map(str, epochs)) or "none yet"
        wanted = "no snapshot" if epoch is None else f"no snapshot of epoch {epoch}"
        raise UserError(f"{run.snapshots} holds {wanted}; --epoch may be: {existing}")
    generator = make_generator(config.latent_dim, config.fast, config.precision)
    fixed_noise = make_fixed_noise(config.latent_dim, config.seed)
    checkpoints.restore_snapshot(path, generator, fixed_noise)
    return Snapshot(generator, fixed_noise, origin)


def write_images(path, samples, format: str):
    """Writes samples as one PNG grid, as in a run's own folder, or as a NumPy array.

    Args:
      path: the file.
      samples: `[count, 28, 28, 1]` float32 in [-1, 1].
      format: "png" or "npy".
    """
    with files.written_whole(path) as unfinished:
        if format == "png":
            images.write_samples(unfinished, samples)
        else:
            content = io.BytesIO()  # NumPy's own way into a file does not tell why it fails
            np.save(content, samples, allow_pickle=False)
            unfinished.write_bytes(content.getvalue())
