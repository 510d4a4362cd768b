"""Noise for the generator, as a pure function of seed and index, and the images made from it."""

import numpy as np
import tensorflow as tf

from gan_tf.config import GRID_COUNT

# Training steps have the indices from 0.
_FIXED_NOISE_INDEX = -1
VARIETY_NOISE_INDEX = -2


def make_noise(count: int, latent_dim: int, seed: int, index: int) -> tf.Tensor:
    """Returns noise for the generator as a pure function of its arguments.

    Args:
      count: number of vectors.
      latent_dim: length of each vector.
      seed: seed of the run.
      index: purpose of the noise, such as the index of a training step.

    Returns:
      `[count, latent_dim]` float32, unit Gaussian.
    """
    return _unit_gaussian(tf.constant([count, latent_dim]), tf.constant([seed, index], tf.int64))


@tf.function  # ten times as fast as the same operations one by one
def _unit_gaussian(shape, seed):
    # XLA would choose another algorithm, and turn its bits into Gaussian numbers in another way:
    # TF_XLA_FLAGS would change every image.
    with tf.xla.experimental.jit_scope(compile_ops=False):
        return tf.random.stateless_normal(shape, seed, alg="philox")


def make_fixed_noise(latent_dim: int, seed: int) -> tf.Variable:
    """Returns the noise of the samples that a run writes after each epoch: `[16, latent_dim]`."""
    noise = make_noise(GRID_COUNT, latent_dim, seed, _FIXED_NOISE_INDEX)
    return tf.Variable(noise, trainable=False, name="fixed_noise")


def generate(generator, noise) -> np.ndarray:
    """Returns a generator's images `[count, 28, 28, 1]`, with BatchNorm in inference mode."""
    return generator(noise, training=False).numpy()


def walk(start, end, steps: int) -> np.ndarray:
    """Returns noise vectors on the path between two vectors along the sphere.

    Unit Gaussian vectors of 100 numbers have lengths near 10, and hardly one is below 8. The
    straight line between two of them passes at a length of 7, where the generator was never
    trained. Therefore the direction turns at a constant rate, and the length changes linearly.

    Args:
      start, end: `[latent_dim]` float32, not 0.
      steps: number of vectors, both ends included; at least 2.

    Returns:
      `[steps, latent_dim]` float32.

    Source: Shoemake 1985, "Animating rotation with quaternion curves"; for noise White 2016,
    "Sampling generative networks".
    """
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    first, last = start / lengths[0], end / lengths[1]
    angle = np.arccos(np.clip(first @ last, -1, 1))
    share = np.linspace(0, 1, steps)[:, None]
    if np.sin(angle) < 1e-6:  # the same or opposite directions, between which no path is shortest
        directions = (1 - share) * first + share * last
    else:
        directions = np.sin((1 - share) * angle) * first + np.sin(share * angle) * last
        directions /= np.sin(angle)
    path = directions * ((1 - share) * lengths[0] + share * lengths[1])
    path[0], path[-1] = start, end
    return path.astype(np.float32)
