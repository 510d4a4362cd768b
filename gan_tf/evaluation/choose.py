"""Images of one class, chosen among those that a generator samples."""

import numpy as np

from gan_tf.config import MOST_IMAGES, whole_number
from gan_tf.data.classifier import load_classifier
from gan_tf.evaluation.evaluate import at
from gan_tf.snapshots import take
from gan_tf.system.errors import UserError

# A generator that samples a class less than once in a thousand images does not have it. In the
# known data sets, each class is a tenth of the images.
_RAREST = 1000
_LEAST_DRAWN = 5 * _RAREST


def sample_class(
    snapshot,
    class_name: str,
    count: int = 64,
    seed: int = 0,
    data_dir=None,
    manual_dir=None,
    keep: float = 1.0,
) -> tuple[np.ndarray, int]:
    """Samples images until there are enough of a class, by the evaluation's classifier.

    The generator knows no classes, so the images are chosen among all that it samples.

    Args:
      snapshot: from `load_snapshot` or `load_pretrained`.
      class_name: of the data set's names, in any case; its beginning is enough.
      count: how many images, 1 to 1,000,000.
      seed: of the noise; the images are those of the class among `snapshot.sample(..., seed)`.
      data_dir, manual_dir: where the data is, if not where the run had it; needed only for data
        sets whose classifier is not there yet.
      keep: as for `Snapshot.sample`.

    Returns:
      `[count, 28, 28, 1]` float32 in [-1, 1], and how many were sampled to find them.

    Raises:
      UserError: there is no such class, or the generator hardly generates it.
    """
    count = whole_number("count", count, at_least=1, at_most=MOST_IMAGES)
    classifier = load_classifier(at(snapshot.config, data_dir, manual_dir))
    wanted = _index(class_name, classifier.class_names)

    def of_the_class():
        found = 0
        for images, places in snapshot.batches(seed, keep):
            _, labels = classifier(images)
            found += np.sum(labels == wanted)
            yield images[labels == wanted], places[labels == wanted]
            if places[-1] > max(_LEAST_DRAWN, _RAREST * found):
                raise UserError(
                    f"class {classifier.class_names[wanted]}: only {found} of {places[-1]} images"
                    " are of it, so this generator hardly has any: try another epoch, or train"
                    " longer"
                )

    return take(of_the_class(), count)


def _index(name, names):
    """Finds a class by its name; Trousers is Trouser, boot is Ankle boot."""
    wanted = name.strip().casefold()
    for fits in (
        lambda known: known == wanted,
        lambda known: bool(wanted) and (known.startswith(wanted) or wanted.startswith(known)),
        lambda known: bool(wanted) and wanted in known,
    ):
        found = [index for index, known in enumerate(names) if fits(known.casefold())]
        if len(found) == 1:
            return found[0]
    raise UserError(f"the class must be one of {', '.join(names)}, not {name!r}")
