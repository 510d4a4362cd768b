"""Variety: how much images differ from each other, without any classifier."""

import numpy as np

from gan_tf import data

COUNT = 256  # images that it is measured on


def variety(images: np.ndarray) -> float:
    """Mean root-mean-square distance between pairs of images.

    It is near 0 if a generator makes the same image again and again, whatever its losses are.
    Different images of Fashion-MNIST are at 0.81 on average.

    Args:
      images: `[count, height, width, 1]` float in [-1, 1], count >= 2.

    Returns:
      The mean over all pairs, in units of the grey values, whose range is 2.
    """
    flat = np.reshape(images, [len(images), -1]).astype(np.float64)
    products = flat @ flat.T
    lengths = np.diag(products)
    squares = lengths[:, None] + lengths - 2 * products  # [count, count], 0 on the diagonal
    distances = np.sqrt(np.maximum(squares, 0) / flat.shape[1])
    pairs = len(flat) * (len(flat) - 1)
    return float((distances.sum() - np.trace(distances)) / pairs)


def real_variety(images: np.ndarray) -> float:
    """Variety of a data set's training images, which a generator should approach.

    Args:
      images: `[count, 28, 28, 1]` uint8, of which 256 are chosen at random, always the same ones.

    Returns:
      As `variety`; 0 for a single image.
    """
    chosen = np.random.default_rng(0).permutation(len(images))[:COUNT]
    return variety(data.scaled(images[chosen])) if len(chosen) > 1 else 0.0


def generator_variety(snapshot) -> float:
    """Returns the variety of 256 images from a generator, the same ones for each epoch of a run.

    Args:
      snapshot: a `Snapshot`; its images are drawn from a noise of their own, by the run's seed.
    """
    # Here, as a report needs no TensorFlow.
    from gan_tf.noise import VARIETY_NOISE_INDEX, make_noise

    config = snapshot.config
    noise = make_noise(COUNT, config.latent_dim, config.seed, VARIETY_NOISE_INDEX)
    return variety(snapshot.generator(noise, training=False).numpy())
