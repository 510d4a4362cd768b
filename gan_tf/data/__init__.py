"""Training images in memory, and batches of them as a pure function of (seed, epoch)."""

import hashlib
import warnings
from pathlib import Path

import numpy as np

from gan_tf.config import OWN_IMAGES, TrainConfig
from gan_tf.data import synthetic, tfds
from gan_tf.data.image_folder import load_image_folder
from gan_tf.system.errors import UserError


def load_images(config: TrainConfig) -> np.ndarray:
    """Returns the training images of a data set, without reading its test images.

    Args:
      config: `dataset`, `data_dir`, `manual_dir`, `invert`, `max_images` and, for synthetic images,
        `seed`.

    Returns:
      `[count, 28, 28, 1]` uint8 in [0, 255], in the order in which TFDS stores them.

    Raises:
      UserError: the data is not available, or damaged; the message says what to do.
    """
    if config.dataset.startswith(OWN_IMAGES):
        raise UserError(
            f"`dataset` {config.dataset} stands for images that were passed from Python: pass"
            " them again, as in gan_tf.train(config, images=...)"
        )
    if config.dataset == "synthetic":
        count = min(config.max_images or synthetic.COUNT, synthetic.COUNT)
        images = synthetic.synthetic_images(count, config.seed)
    elif config.has_image_folder:
        try:
            cache_dir = prepared_dir(config)
        except UserError as error:  # the cache only saves time
            warnings.warn(f"the pictures are converted again for every run: {error}")
            cache_dir = None
        # Already inverted if necessary.
        return load_image_folder(config.dataset, config.invert, cache_dir)[: config.max_images]
    else:
        (images,) = tfds.read_split(tfds.prepare(config), "train", ["image"])
        images = images[: config.max_images]
    return 255 - images if config.invert else images


def load_labelled(config: TrainConfig, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns all images of a split with their classes, for evaluation.

    Args:
      config: as for `load_images`, except that `max_images` is ignored.
      split: "train" or "test".

    Returns:
      `[count, 28, 28, 1]` uint8 in [0, 255], and `[count]` int64 from 0.

    Raises:
      UserError: as for `load_images`, or the data set has no such split or no classes.
    """
    if config.dataset == "synthetic":
        count, seed = synthetic.COUNT, config.seed
        if split == "test":
            count, seed = synthetic.TEST_COUNT, seed + synthetic.TEST_SEED
        images = synthetic.synthetic_images(count, seed)
        labels = synthetic.synthetic_labels(count, seed)
    elif not config.has_classes:
        raise UserError(f"`dataset` {config.dataset} has no test split and no classes to compare")
    else:
        images, labels = tfds.read_split(tfds.prepare(config), split, ["image", "label"])
    return (255 - images if config.invert else images), labels


def class_names(config: TrainConfig) -> list[str]:
    """Returns the names of a data set's classes, in the order of their labels."""
    if config.dataset == "synthetic":
        return list(synthetic.CLASSES)
    return list(tfds.prepare(config).info.features["label"].names)


def prepared_dir(config: TrainConfig) -> Path:
    """Returns the folder for gan_tf's own prepared files, beside the data sets of TFDS.

    Raises:
      UserError: as for `tfds.data_dir`.
    """
    return tfds.data_dir(config) / "gan_tf"


def own_images(images) -> np.ndarray:
    """Returns a copy of a user's images, which nothing can change during training.

    Args:
      images: `[count, 28, 28, 1]` or `[count, 28, 28]`, uint8 in [0, 255].

    Returns:
      `[count, 28, 28, 1]` uint8.

    Raises:
      UserError: the array is empty, or has another shape or type.
    """
    try:
        images = np.array(images)
    except ValueError as error:
        raise UserError(f"`images` are not an array: {error}") from error
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8 or images.shape[1:] != tfds.SHAPE or not len(images):
        raise UserError(
            "`images` must be uint8 of shape [count, 28, 28] or [count, 28, 28, 1], not"
            f" {images.dtype} of shape {list(images.shape)}"
        )
    return images


def checksum(images: np.ndarray) -> str:
    """Returns the SHA-256 of images as 64 hexadecimal digits."""
    return hashlib.sha256(images.tobytes()).hexdigest()


def batches(images: np.ndarray, batch_size: int, seed: int, epoch: int, first: int = 0):
    """Yields the batches of one epoch, in an order that depends on `seed` and `epoch` alone.

    Args:
      images: `[count, 28, 28, 1]` uint8.
      batch_size: number of images per batch; the last batch may have fewer.
      seed, epoch: whole numbers >= 0.
      first: number of batches to skip, for resuming in the middle of an epoch.

    Yields:
      `[batch_size, 28, 28, 1]` float32 in [-1, 1].
    """
    order = np.random.default_rng([seed, epoch]).permutation(len(images))
    for start in range(first * batch_size, len(images), batch_size):
        yield scaled(images[order[start : start + batch_size]])


def scaled(images: np.ndarray) -> np.ndarray:
    """Maps grey levels, uint8 in [0, 255], to float32 in [-1, 1], the range of tanh."""
    return (images.astype(np.float32) - 127.5) / 127.5
