"""Which of a generator's images to keep: those that change least as their noise changes.

The noise is connected and the kinds of garment are not, so some noise between two kinds must give a
cross of both. There a small change of the noise changes the image most.
"""

import warnings

import numpy as np
import tensorflow as tf
from sklearn.cluster import KMeans

from gan_tf.config import TrainConfig
from gan_tf.data.classifier import load_classifier
from gan_tf.noise import make_noise
from gan_tf.system.errors import UserError

BATCH = 256  # images sampled at once
_LEAST_KEPT = 0.05
_STEP = 0.05  # how far the noise is moved, in standard deviations
_DIRECTIONS = 4  # AUC for unclaimed images of 8, 4, 2 and 1 directions: 0.75, 0.74, 0.71, 0.68
_REFERENCE_BATCHES = 8
_CLUSTERS = 20
_REFERENCE_NOISE_INDEX = -3  # and the next ones downwards, which nothing else uses


def check_keep(keep) -> float:
    """Returns the share of images to keep as a float; a UserError says which values it may have."""
    try:
        share = float(keep)
    except (TypeError, ValueError):
        share = 0.0
    if not _LEAST_KEPT <= share <= 1:
        raise UserError(f"`keep` must be a number from {_LEAST_KEPT} to 1, not {keep!r}")
    return share


class Selection:
    """Keeps those images of a generator that change least with their noise, kind by kind.

    Some kinds of garment change more than others, so each image is compared with its own kind: its
    class, or for pictures without classes its cluster. The thresholds come from 2,048 reference
    images with noise of their own, so they depend on the generator alone.

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
        batches = [generator(each, training=False).numpy() for each in noise]
        images = np.concatenate(batches)
        if config.has_classes:
            classifier = load_classifier(config)
            self._kinds = lambda images: classifier(images)[1]
        else:
            clusters = KMeans(_CLUSTERS, n_init=3, random_state=0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of images that are all alike
                clusters.fit(_unit_vectors(images))
            self._kinds = lambda images: clusters.predict(_unit_vectors(images))
        self._reference_kinds = self._kinds(images)
        self._reference_changes = np.concatenate(list(map(self._change, noise, batches)))

    def keeps(self, noise, images: np.ndarray, keep: float) -> np.ndarray:
        """Decides about images of the generator.

        Args:
          noise: `[count, latent_dim]` float32, count > 4.
          images: `[count, 28, 28, 1]` float32, what the generator makes of it.
          keep: the share to keep, 0.05 to 1.

        Returns:
          `[count]` bool; images of a kind that no reference image has are kept.
        """
        kinds = self._kinds(images)
        limits = np.full(len(images), np.inf)
        for kind in {*kinds} & {*self._reference_kinds}:
            changes = self._reference_changes[self._reference_kinds == kind]
            limits[kinds == kind] = np.quantile(changes, keep)
        return ~(self._change(noise, images) > limits)  # so that what is not a number is kept

    def _change(self, noise, images):
        """Squared norm of the generator's Jacobian, estimated by forward differences: `[count]`.

        Random directions are needed; those of an image are the noise of others in its batch.
        """
        directions = [tf.roll(noise, place, axis=0) for place in range(1, _DIRECTIONS + 1)]
        moved = tf.concat([noise + _STEP * direction for direction in directions], axis=0)
        moved_images = self._generator(moved, training=False).numpy()
        differences = moved_images.reshape(_DIRECTIONS, *images.shape) - images
        return np.mean(np.sum((differences / _STEP) ** 2, axis=(2, 3, 4)), axis=0)


def _unit_vectors(images):
    """Images as vectors of length 1 above the black ground: of one shape, bright or dark."""
    vectors = images.reshape(len(images), -1) + 1
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
