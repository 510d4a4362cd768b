"""Variety: a measure without a classifier of how much images differ from each other."""

import numpy as np

from gan_tf import data

COUNT = 256  # images


def variety(images: np.ndarray) -> float:
    """Computes the mean root-mean-square distance between two images.

    It is near 0 if a generator makes the same image again and again, whatever its losses are. It is
    0.81 for the images of Fashion-MNIST.

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
    """Computes the variety of training images, which a generator should approach.

    Args:
      images: `[count, 28, 28, 1]` uint8, of which the same 256 are used each time.

    Returns:
      As `variety`; 0 for a single image.
    """
    chosen = np.random.default_rng(0).permutation(len(images))[:COUNT]
    return variety(data.scaled(images[chosen])) if len(chosen) > 1 else 0.0


def generator_variety(snapshot) -> float:
    """Computes the variety of 256 images of a generator, with the same noise for each epoch.

    Args:
      snapshot: a `Snapshot`.
    """
    from gan_tf.noise import VARIETY_NOISE_INDEX, generate, make_noise  # not for the report

    config = snapshot.config
    noise = make_noise(COUNT, config.latent_dim, config.seed, VARIETY_NOISE_INDEX)
    return variety(generate(snapshot.generator, noise))
