"""Generated images, each beside the training images that are nearest to it."""

import numpy as np

from gan_tf import data
from gan_tf.evaluation import metrics
from gan_tf.evaluation.evaluate import References, at, load_references
from gan_tf.run.images import ZOOM, make_grid, side_by_side, to_uint8, with_caption, write_png
from gan_tf.system import files

_NEAREST = 5


def write_neighbours(path, snapshot, count: int = 8, seed: int = 0, data_dir=None, manual_dir=None):
    """Draws images from a generator, each beside its nearest training images, into a PNG.

    Args:
      path: the file.
      snapshot: from `load_snapshot` or `load_pretrained`.
      count: how many images.
      seed: of the noise.
      data_dir, manual_dir: where the data is, if not where the run had it.

    Raises:
      UserError: a number is out of range, or the data cannot be had.
    """
    images = snapshot.sample(count, seed)
    references = load_references(at(snapshot.config, data_dir, manual_dir))
    with files.written_whole(path) as unfinished:
        write_png(unfinished, draw_neighbours(images, references))


def draw_neighbours(images: np.ndarray, references: References) -> np.ndarray:
    """Draws a row for each image: itself, then the nearest training images, told in two ways.

    A generator that copies shows the same image twice in a row.

    Args:
      images: `[count, 28, 28, 1]` float32 in [-1, 1].
      references: of the data set that the generator was trained on.

    Returns:
      `[height, width]` uint8: the images, their five nearest by pixels, and their five nearest by
      the classifier's features, nearest first.
    """
    train = references.train_images
    flat = data.scaled(train).reshape(len(train), -1)
    _, by_pixels = metrics.nearest(images.reshape(len(images), -1), flat, _NEAREST)
    features, _ = references.classifier(images)
    _, by_features = metrics.nearest(features, references.train_features, _NEAREST)
    panels = [
        (to_uint8(images), 1, "drawn"),
        (train[by_pixels.ravel()], _NEAREST, "nearest training images, by pixels"),
        (train[by_features.ravel()], _NEAREST, "nearest training images, by features"),
    ]
    return side_by_side(
        [
            with_caption(make_grid(shown, ZOOM, columns=columns), caption)
            for shown, columns, caption in panels
        ]
    )
