"""Noise for the generator, as a pure function of what it is for."""

import numpy as np
import tensorflow as tf

from gan_tf.config import GRID_COUNT

# Training steps count up from 0.
_FIXED_NOISE_INDEX = -1
VARIETY_NOISE_INDEX = -2


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
    return _unit_gaussian(
        tf.constant([count, latent_dim]), tf.constant([seed, index], tf.int64)
    )  # [count, latent_dim]


@tf.function  # ten times as fast as the same operations one by one
def _unit_gaussian(shape, seed):
    # XLA has another way from these random bits to Gaussian numbers, and left to choose another
    # algorithm too: TF_XLA_FLAGS would change every image.
    with tf.xla.experimental.jit_scope(compile_ops=False):
        return tf.random.stateless_normal(shape, seed, alg="philox")


def make_fixed_noise(latent_dim: int, seed: int) -> tf.Variable:
    """Returns the noise that a run draws its samples from after every epoch: `[16, latent_dim]`."""
    noise = make_noise(GRID_COUNT, latent_dim, seed, _FIXED_NOISE_INDEX)
    return tf.Variable(noise, trainable=False, name="fixed_noise")


def walk(start, end, steps: int) -> np.ndarray:
    """Returns noise vectors on the way from one to another, along the sphere.

    Unit Gaussian vectors of 100 numbers have lengths near 10, hardly one is below 8. The straight
    line between two of them passes at a length of 7, where the generator was never trained. So the
    direction turns at an even pace, and the length goes evenly from one to the other.

    Args:
      start, end: `[latent_dim]` float32, neither of them 0.
      steps: at least 2; both ends are among them.

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
    if np.sin(angle) < 1e-6:  # the same direction, or the opposite one: no way is shorter
        directions = (1 - share) * first + share * last
    else:
        directions = np.sin((1 - share) * angle) * first + np.sin(share * angle) * last
        directions /= np.sin(angle)
    way = directions * ((1 - share) * lengths[0] + share * lengths[1])
    way[0], way[-1] = start, end
    return way.astype(np.float32)
