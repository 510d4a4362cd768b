"""Selects the images of a generator that change least when their noise changes.

The space of noise is connected, and the kinds of garment are not. So noise between two kinds gives
a cross of both, which a small change of the noise changes most.
"""

import warnings

import numpy as np
import tensorflow as tf
from sklearn.cluster import KMeans

from gan_tf.config import TrainConfig
from gan_tf.data.classifier import load_classifier
from gan_tf.noise import generate, make_noise
from gan_tf.system.errors import UserError

BATCH = 256  # images sampled at once
_MIN_KEEP = 0.05
_STEP = 0.05  # distance by which the noise is moved, in standard deviations
_DIRECTIONS = 4  # AUC for unclaimed images with 8, 4, 2 and 1 directions: 0.75, 0.74, 0.71, 0.68
_REFERENCE_BATCHES = 8
_CLUSTERS = 20
_REFERENCE_NOISE_INDEX = -3  # of the first reference batch; the others have -4, -5, ...


def check_keep(keep) -> float:
    """Returns a share of images to keep as a float; raises UserError if it is out of range."""
    try:
        share = float(keep)
    except (TypeError, ValueError):
        share = 0.0
    if not _MIN_KEEP <= share <= 1:
        raise UserError(f"`keep` must be a number from {_MIN_KEEP} to 1, not {keep!r}")
    return share


class Selection:
    """Selects the images of a generator that change least with their noise, within each kind.

    Some kinds of garment change more than others, so each image is compared with its own kind: its
    class, or its cluster if the data set has no classes. The thresholds come from 2,048 reference
    images with their own noise, so they depend on the generator alone.

    Args:
      generator: Keras model from `[batch, latent_dim]` to `[batch, 28, 28, 1]`.
      config: the `TrainConfig` of the generator's run.

    Raises:
      UserError: as for `load_classifier`.

    Source: Tanielian et al. 2020, "Learning disconnected manifolds: a no GAN's land".
    """

    def __init__(self, generator, config: TrainConfig):
        self._generator = generator
        noise = [
            make_noise(BATCH, config.latent_dim, 0, _REFERENCE_NOISE_INDEX - index)
            for index in range(_REFERENCE_BATCHES)
        ]
        batches = [generate(generator, batch) for batch in noise]
        images = np.concatenate(batches)
        if config.has_classes:
            classifier = load_classifier(config)
            self._kinds = lambda images: classifier(images)[1]
        else:
            clusters = KMeans(_CLUSTERS, n_init=3, random_state=0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # raised if all images are equal
                clusters.fit(_unit_vectors(images))
            self._kinds = lambda images: clusters.predict(_unit_vectors(images))
        self._reference_kinds = self._kinds(images)
        self._reference_changes = np.concatenate(list(map(self._change, noise, batches)))

    def keeps(self, noise, images: np.ndarray, keep: float) -> np.ndarray:
        """Returns which images to keep, `[count]` bool, of those generated from the noise.

        Images of a kind without reference images are kept.
        """
        kinds = self._kinds(images)
        limits = np.full(len(images), np.inf)
        for kind in {*kinds} & {*self._reference_kinds}:
            changes = self._reference_changes[self._reference_kinds == kind]
            limits[kinds == kind] = np.quantile(changes, keep)
        return ~(self._change(noise, images) > limits)  # images with NaN are kept

    def _change(self, noise, images):
        """Estimates the squared norm of the generator's Jacobian by forward differences: `[count]`.

        The random directions for each image are the noise vectors of other images in the batch.
        """
        directions = [tf.roll(noise, shift, axis=0) for shift in range(1, _DIRECTIONS + 1)]
        moved = tf.concat([noise + _STEP * direction for direction in directions], axis=0)
        moved_images = generate(self._generator, moved)
        differences = moved_images.reshape(_DIRECTIONS, *images.shape) - images
        return np.mean(np.sum((differences / _STEP) ** 2, axis=(2, 3, 4)), axis=0)


def _unit_vectors(images):
    """Returns images as vectors of length 1, so that a shape counts and its brightness does not."""
    vectors = images.reshape(len(images), -1) + 1
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
