"""Selects the images of one class among those that a generator samples."""

import dataclasses

import numpy as np

from gan_tf.config import MOST_IMAGES, whole_number
from gan_tf.data.classifier import load_classifier
from gan_tf.evaluation.evaluate import with_data_folders
from gan_tf.snapshots import take
from gan_tf.system.errors import UserError

# A class with fewer images counts as missing. In the known data sets, each class is a tenth.
_MIN_SHARE = 1 / 1000
_MIN_SAMPLED = 5000


def sample_class(
    snapshot,
    class_name: str,
    count: int = 64,
    seed: int = 0,
    data_dir=None,
    manual_dir=None,
    keep: float = 1.0,
) -> tuple[np.ndarray, int]:
    """Samples images until enough of them belong to a class.

    The generator knows no classes, so the classifier of the evaluation selects the images.

    Args:
      snapshot: from `load_snapshot` or `load_pretrained`.
      class_name: name of a class in the data set, or a part of one, in any case.
      count: number of images, 1 to 1,000,000.
      seed: seed of the noise; the images are those of the class among `snapshot.sample(..., seed)`.
      data_dir, manual_dir: folders of the data, if they differ from the run's. They are needed only
        if the classifier of the data set does not exist yet.
      keep: as for `Snapshot.sample`.

    Returns:
      `[count, 28, 28, 1]` float32 in [-1, 1], and how many images were sampled to find them.

    Raises:
      UserError: the class does not exist, or the generator hardly generates it.
    """
    count = whole_number("count", count, at_least=1, at_most=MOST_IMAGES)
    config = with_data_folders(snapshot.config, data_dir, manual_dir)
    if config != snapshot.config:  # a copy would lose the cached `Selection`
        snapshot = dataclasses.replace(snapshot, config=config)
    classifier = load_classifier(config)
    label = _find_label(class_name, classifier.class_names)

    def of_the_class():
        found = 0
        for images, indices in snapshot.batches(seed, keep):
            is_of_class = classifier(images)[1] == label
            found += np.sum(is_of_class)
            yield images[is_of_class], indices[is_of_class]
            sampled = indices[-1]
            if sampled > _MIN_SAMPLED and found < _MIN_SHARE * sampled:
                raise UserError(
                    f"class {classifier.class_names[label]}: only {found} of {sampled} images"
                    " belong to it, so this generator hardly generates it: try another epoch, or"
                    " train longer"
                )

    return take(of_the_class(), count)


def _find_label(name, class_names):
    """Returns the label of a class by its name; Trousers is Trouser, boot is Ankle boot."""
    name, known_names = name.casefold(), [known.casefold() for known in class_names]
    if name in known_names:
        return known_names.index(name)
    found = [known for known in known_names if name in known or name.startswith(known)]
    if len(found) != 1:
        raise UserError(f"the class must be one of {', '.join(class_names)}, not {name!r}")
    return known_names.index(found[0])
