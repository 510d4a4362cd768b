"""Training images in memory, and batches of them as a pure function of (seed, epoch)."""

from gan_tf.data.loading import (
    batches,
    checksum,
    class_names,
    load_images,
    load_labelled,
    own_images,
    prepared_dir,
    scaled,
)

__all__ = [
    "batches",
    "checksum",
    "class_names",
    "load_images",
    "load_labelled",
    "own_images",
    "prepared_dir",
    "scaled",
]
