"""Noise for the generator, as a pure function of what it is for."""

import tensorflow as tf

from gan_tf.images import GRID_COUNT

_FIXED_NOISE_INDEX = -1  # training steps count up from 0


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
    noise = make_noise(GRID_COUNT, latent_dim, seed, _FIXED_NOISE_INDEX)
    return tf.Variable(noise, trainable=False, name="fixed_noise")
