"""Sampled images, each beside the training images nearest to it."""

import numpy as np

from gan_tf import data
from gan_tf.config import whole_number
from gan_tf.data.classifier import load_classifier
from gan_tf.evaluation import metrics
from gan_tf.evaluation.evaluate import at, training_features
from gan_tf.run.images import ZOOM, make_grid, side_by_side, to_uint8, with_caption, write_png
from gan_tf.system import files
from gan_tf.system.errors import UserError

_NEAREST = 5
_MOST_DRAWN = 1000


def write_neighbours(
    path,
    snapshot,
    count: int = 8,
    seed: int = 0,
    data_dir=None,
    manual_dir=None,
    images=None,
):
    """Writes a PNG of sampled images, each beside its nearest training images.

    Args:
      path: the file.
      snapshot: from `load_snapshot` or `load_pretrained`.
      count: how many images, 1 to 1,000.
      seed: of the noise.
      data_dir, manual_dir: where the data is, if not where the run had it.
      images: the training images, if they were given to `train` as an array.

    Raises:
      UserError: a number is out of range, or the data is not available or not what the generator
        was trained on.
    """
    drawn = snapshot.sample(whole_number("count", count, 1, _MOST_DRAWN), seed)
    config = at(snapshot.config, data_dir, manual_dir)
    train_images = data.load_images(config) if images is None else np.asarray(images)
    recorded = snapshot.environment.get("images_sha256")
    if recorded not in (None, data.checksum(train_images)):
        raise UserError(f"the images of {config.dataset} are not those that the run was trained on")
    train_images = train_images.reshape(-1, *drawn.shape[1:])
    features = None
    if images is None and not config.has_image_folder:  # own pictures have no classes
        classifier = load_classifier(config)
        folder = data.prepared_dir(config)
        features = classifier(drawn)[0], training_features(classifier, train_images, folder)
    with files.written_whole(path) as unfinished:
        write_png(unfinished, draw_neighbours(drawn, train_images, features))


def draw_neighbours(images: np.ndarray, train_images: np.ndarray, features=None) -> np.ndarray:
    """Makes a row for each image: the image, then the training images nearest to it.

    If a generator copies, a row shows the same image twice.

    Args:
      images: `[count, 28, 28, 1]` float32 in [-1, 1].
      train_images: `[train_count, 28, 28, 1]` uint8, those that the generator was trained on.
      features: those of both by one classifier, `[count, 64]` and `[train_count, 64]`, if there
        is one for these images.

    Returns:
      `[height, width]` uint8: the images, their five nearest by pixels, and with `features` the
      five nearest by these, nearest first; fewer if there are fewer training images.
    """
    columns = min(_NEAREST, len(train_images))
    panels = [with_caption(make_grid(to_uint8(images), ZOOM, columns=1), "drawn")]
    flat = [values.reshape(len(values), -1) for values in (images, data.scaled(train_images))]
    for kind, values in [("pixels", flat), ("features", features)]:
        if values is not None:
            _, nearest = metrics.nearest(values[0], values[1], columns)
            grid = make_grid(train_images[nearest.ravel()], ZOOM, columns=columns)
            panels.append(with_caption(grid, f"nearest training images, by {kind}"))
    return side_by_side(panels)
