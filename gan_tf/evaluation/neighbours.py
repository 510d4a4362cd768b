"""A picture of sampled images, each beside the nearest training images."""

import numpy as np

from gan_tf import data
from gan_tf.config import whole_number
from gan_tf.data.classifier import load_classifier
from gan_tf.evaluation import metrics
from gan_tf.evaluation.evaluate import training_features, with_data_folders
from gan_tf.run.images import ZOOM, make_grid, side_by_side, to_uint8, with_caption, write_png
from gan_tf.system import files
from gan_tf.system.errors import UserError

_NEAREST = 5
_MAX_SAMPLES = 1000


def write_neighbours(
    path,
    snapshot,
    count: int = 8,
    seed: int = 0,
    data_dir=None,
    manual_dir=None,
    images=None,
):
    """Writes a PNG file of sampled images, each beside its nearest training images.

    Args:
      path: path of the file.
      snapshot: from `load_snapshot` or `load_pretrained`.
      count: number of images, 1 to 1,000.
      seed: seed of the noise.
      data_dir, manual_dir: folders of the data, if they differ from the run's.
      images: the training images, if they were passed to `train` as an array.

    Raises:
      UserError: a number is out of range, or the data is not available, or is not what the
        generator was trained on.
    """
    samples = snapshot.sample(whole_number("count", count, 1, _MAX_SAMPLES), seed)
    config = with_data_folders(snapshot.config, data_dir, manual_dir)
    train_images = data.load_images(config) if images is None else np.asarray(images)
    recorded = snapshot.environment.get("images_sha256")
    if recorded not in (None, data.checksum(train_images)):
        raise UserError(f"the images of {config.dataset} are not those that the run was trained on")
    train_images = train_images.reshape(-1, *samples.shape[1:])
    features = None
    if images is None and config.has_classes:
        classifier = load_classifier(config)
        folder = data.prepared_dir(config)
        features = classifier(samples)[0], training_features(classifier, train_images, folder)
    with files.written_whole(path) as unfinished:
        write_png(unfinished, neighbours_grid(samples, train_images, features))


def neighbours_grid(samples: np.ndarray, train_images: np.ndarray, features=None) -> np.ndarray:
    """Arranges samples in rows, each followed by the training images nearest to it.

    If a generator copies, a row shows the same image twice.

    Args:
      samples: `[count, 28, 28, 1]` float32 in [-1, 1].
      train_images: `[train_count, 28, 28, 1]` uint8.
      features: features of both by one classifier; without them, only pixels are compared.

    Returns:
      `[height, width]` uint8: the samples, then for each measure the five nearest training images.
    """
    columns = min(_NEAREST, len(train_images))
    panels = [with_caption(make_grid(to_uint8(samples), ZOOM, columns=1), "samples")]
    flat = [values.reshape(len(values), -1) for values in (samples, data.scaled(train_images))]
    for kind, values in [("pixels", flat), ("features", features)]:
        if values is not None:
            _, nearest = metrics.nearest(values[0], values[1], columns)
            grid = make_grid(train_images[nearest.ravel()], ZOOM, columns=columns)
            panels.append(with_caption(grid, f"nearest training images, by {kind}"))
    return side_by_side(panels)
