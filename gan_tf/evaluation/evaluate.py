"""The quality of images, measured against the test images of their data set."""

import contextlib
import dataclasses
import io
import os
import stat
from pathlib import Path

import numpy as np

from gan_tf import data
from gan_tf.config import MOST_IMAGES, TrainConfig, whole_number
from gan_tf.data.classifier import Classifier, load_classifier
from gan_tf.evaluation import metrics
from gan_tf.evaluation.variety import COUNT as VARIETY_COUNT
from gan_tf.evaluation.variety import generator_variety, variety
from gan_tf.selection import check_keep
from gan_tf.snapshots import Snapshot, take
from gan_tf.system import files
from gan_tf.system.errors import UserError, one_line

COUNT = 10_000  # of generated images, as many as there are test images
FEWEST = 1000
_CLAIMED = 0.99  # share of the test images that a class claims, by definition
_COPIES = -3.0  # a score below is less likely than 1 in 700 for fresh images
_MOST_BYTES = 2**30  # of a file of features


@dataclasses.dataclass(frozen=True)
class References:
    """What images are compared with; made once and used for every epoch of a run.

    Attributes:
      classifier: whose features these are.
      train_images: `[count, 28, 28, 1]` uint8, all training images.
      train_features: `[count, 64]` float32.
      test_images, test_features, test_labels: the same of the test split, labels as the classifier
        sees them, `[count]` int64.
      test_distances: `[count]`, from each test image to the nearest training image.
      claim_radius: the strangeness up to which a class claims an image.
    """

    classifier: Classifier
    train_images: np.ndarray
    train_features: np.ndarray
    test_images: np.ndarray
    test_features: np.ndarray
    test_labels: np.ndarray
    test_distances: np.ndarray
    claim_radius: float


def load_references(config: TrainConfig) -> References:
    """Prepares the comparison with a data set. Test images are used for nothing else.

    The features of the training images are computed once and kept beside the prepared data.

    Args:
      config: `dataset` and where its data is.

    Raises:
      UserError: the data is not available, or has no test split or classes.
    """
    classifier = load_classifier(config)
    train_images, _ = data.load_labelled(config, "train")
    test_images, _ = data.load_labelled(config, "test")
    train_features = training_features(classifier, train_images, data.prepared_dir(config))
    test_features, test_labels = classifier(data.scaled(test_images))
    distances, _ = metrics.nearest(test_features, train_features)
    return References(
        classifier,
        train_images,
        train_features,
        test_images,
        test_features,
        test_labels,
        distances[:, 0],
        float(np.quantile(metrics.strangeness(test_features, train_features), _CLAIMED)),
    )


def training_features(classifier: Classifier, images: np.ndarray, folder) -> np.ndarray:
    """Returns the features of training images, which are computed once and kept in a file.

    Args:
      classifier: whose features.
      images: `[count, 28, 28, 1]` uint8.
      folder: folder of the file. The SHA-256 of the array follows it, so that damage is noticed.

    Returns:
      `[count, 64]` float32.
    """
    checksum = data.checksum(images)
    path = Path(folder, f"features-{classifier.id[-8:]}-{checksum[:16]}.npy")
    if (kept := files.read_checked(path, at_most=_MOST_BYTES)) is not None:
        with contextlib.suppress(ValueError):  # something else is in its place
            return np.load(io.BytesIO(kept), allow_pickle=False)
    features, _ = classifier(data.scaled(images))
    array = io.BytesIO()
    np.save(array, features, allow_pickle=False)
    files.keep_checked(path, array.getvalue())
    return features


def evaluate(images: np.ndarray, references: References, seed: int = 0) -> dict:
    """Measures the quality of images.

    Args:
      images: `[count, 28, 28, 1]` float32 in [-1, 1], at least 1,000.
      references: those of the data set that the images should look like.
      seed: chooses the training images for the floor.

    Returns:
      A dict for JSON. `fcd`, `kid` and `kid_std_error`, `density`, `coverage`, `variety`: see
      `metrics` and `variety`. `fcd_floor`, `kid_floor`, `density_floor`, `coverage_floor`: the same
      of as many training images, or of all there are; `variety_floor`: of test images.
      `class_shares`: in order of `class_names`; `class_distance`: their total variation distance
      from the shares of the test images; `smallest_share`. `unclaimed_share`: images stranger to
      every class than 99 % of the test images. `memorisation_score` and `memorised`: see
      `metrics.copying_score`. `classifier`: its id. `images`: how many.
    """
    features, labels = references.classifier(images)
    chosen = np.random.default_rng(seed).permutation(len(references.train_images))[: len(images)]
    measured = _compare(features, references.test_features)
    floor = _compare(references.train_features[chosen], references.test_features)
    classes = len(references.classifier.class_names)
    shares = np.bincount(labels, minlength=classes) / len(labels)
    real_shares = np.bincount(references.test_labels, minlength=classes)
    real_shares = real_shares / real_shares.sum()
    distances, _ = metrics.nearest(features, references.train_features)
    score = metrics.copying_score(
        distances[:, 0], labels, references.test_distances, references.test_labels
    )
    unclaimed = metrics.strangeness(features, references.train_features) > references.claim_radius
    real = data.scaled(references.test_images[:VARIETY_COUNT])
    return {
        "classifier": references.classifier.id,
        "images": len(images),
        **measured,
        **{f"{name}_floor": value for name, value in floor.items() if name != "kid_std_error"},
        "class_names": references.classifier.class_names,
        "class_shares": shares.tolist(),
        "class_distance": float(np.abs(shares - real_shares).sum() / 2),
        "smallest_share": float(shares.min()),
        "unclaimed_share": float(np.mean(unclaimed)),
        "memorised": score < _COPIES,
        "memorisation_score": score,
        "variety": variety(images[:VARIETY_COUNT]),
        "variety_floor": variety(real),
    }


def evaluate_snapshot(
    snapshot: Snapshot,
    count: int = COUNT,
    seed: int = 0,
    data_dir=None,
    manual_dir=None,
    keep: float = 1.0,
) -> dict:
    """Samples images from a generator and measures their quality.

    Args:
      snapshot: from `load_snapshot` or `load_pretrained`.
      count: how many images, 1,000 to 1,000,000; the default is also the number of test images.
      seed: of the noise, 0 to 2**32 - 1.
      data_dir, manual_dir: folders of the data, if they differ from the run's.
      keep: as for `Snapshot.sample`.

    Returns:
      As `evaluate`, and the `epoch`; with `keep` below 1 that too, and how many images were
      `sampled` to keep as many.

    Raises:
      UserError: a number is out of range, or the data is not available.
    """
    check_numbers(count, seed)
    keep = check_keep(keep)
    snapshot = dataclasses.replace(snapshot, config=at(snapshot.config, data_dir, manual_dir))
    references = load_references(snapshot.config)
    if keep == 1:
        return evaluate_generator(snapshot, references, count, seed)
    images, sampled = take(snapshot.batches(seed, keep), count)
    result = evaluate(images, references, seed)
    return {"epoch": snapshot.epoch, "keep": keep, "sampled": sampled, **result}


def evaluate_generator(
    snapshot: Snapshot, references: References, count: int = COUNT, seed: int = 0
) -> dict:
    """Does what `evaluate_snapshot` does for all images, with references that exist already."""
    result = evaluate(snapshot.sample(count, seed), references, seed)
    # As in history.csv, whatever the seed: an epoch has one variety.
    return {"epoch": snapshot.epoch, **result, "variety": generator_variety(snapshot)}


def evaluate_file(path, config: TrainConfig, seed: int = 0) -> dict:
    """Measures the quality of images of another program.

    Args:
      path: as for `read_images`.
      config: the `dataset` that the images should look like, and the folders of its data.
      seed: as for `evaluate`.

    Returns:
      As `evaluate`.

    Raises:
      UserError: as for `read_images` and `load_references`, or the seed is out of range.
    """
    check_numbers(COUNT, seed)
    images = read_images(path)
    return evaluate(images, load_references(config), seed)


def check_numbers(count: int, seed: int):
    """Refuses a count or a seed out of range, before minutes of work."""
    whole_number("count", count, at_least=FEWEST, at_most=MOST_IMAGES)
    whole_number("seed", seed, at_least=0, at_most=2**32 - 1)


def at(config: TrainConfig, data_dir, manual_dir) -> TrainConfig:
    """Returns the config with other data folders, if they are given."""
    given = {"data_dir": data_dir, "manual_dir": manual_dir}
    return dataclasses.replace(
        config, **{name: place for name, place in given.items() if place is not None}
    )


def _compare(features, test_features):
    kid, error = metrics.kernel_distance(features, test_features)
    density, coverage = metrics.density_and_coverage(test_features, features)
    return {
        "fcd": metrics.frechet_distance(features, test_features),
        "kid": kid,
        "kid_std_error": error,
        "density": density,
        "coverage": coverage,
    }


def read_images(path) -> np.ndarray:
    """Reads images of any other program.

    Args:
      path: a `.npy` file, or an `.npz` file with one array: `[count, 28, 28]` or
        `[count, 28, 28, 1]`, uint8 in [0, 255], or float in [-1, 1]; at least 1,000 images.

    Returns:
      `[count, 28, 28, 1]` float32 in [-1, 1].

    Raises:
      UserError: the file does not hold such an array; the text says what is wrong.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError("not a regular file")  # a pipe might never end
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(array, np.lib.npyio.NpzFile):
            if len(array.files) != 1:
                raise ValueError(f"it holds {len(array.files)} arrays")
            array = array[array.files[0]]
        array = np.asanyarray(array)
    except Exception as error:  # what NumPy raises depends on what the file holds instead
        raise UserError(f"`images` {path} is not one NumPy array ({one_line(error)})") from error
    if array.shape[1:] not in [(28, 28), (28, 28, 1)]:
        raise UserError(
            f"`images` {path} has the shape {list(array.shape)}; needed is [count, 28, 28] or"
            " [count, 28, 28, 1]"
        )
    if len(array) < FEWEST:
        raise UserError(f"`images` {path} holds {len(array)} images; needed are at least {FEWEST}")
    array = array.reshape(-1, 28, 28, 1)
    if array.dtype == np.uint8:
        if array.max() == 1:
            raise UserError(f"`images` {path} has no value above 1; uint8 must be in [0, 255]")
        return data.scaled(np.asarray(array))
    if array.dtype.kind != "f":
        raise UserError(
            f"`images` {path} is of {array.dtype}; needed is uint8, or float in [-1, 1]"
        )
    array = np.asarray(array, np.float32)
    if not (np.abs(array) <= 1.001).all():  # written so that NaN fails too
        raise UserError(
            f"`images` {path} has values from {array.min():g} to {array.max():g}; floats must be"
            " in [-1, 1]"
        )
    if array.min() >= 0:
        raise UserError(
            f"`images` {path} has no value below 0, so it seems to be in [0, 1]; floats must be in"
            " [-1, 1]: multiply by 2 and subtract 1"
        )
    return array


_MEANINGS = [
    ("fcd", "Fréchet classifier distance: lower is better"),
    ("kid", "kernel distance: lower is better"),
    ("density", "how densely real images surround them: 1 is like real ones, lower is worse"),
    ("coverage", "share of real images with a generated one nearby: higher is better"),
    ("variety", "mean distance between two images: near 0 is collapse"),
]


def as_text(result: dict) -> str:
    """Formats the result of `evaluate` as text."""
    after = f" after epoch {result['epoch']}" if result.get("epoch") else ""
    kept = f", kept from {result['sampled']}" if "sampled" in result else ""
    lines = [
        f"{result['images']} images{after}{kept}, classifier {result['classifier']}",
        f"{'':18}{'images':>10}{'real':>10}",
    ]
    for name, meaning in _MEANINGS:
        lines.append(f"{name:18}{result[name]:10.4f}{result[f'{name}_floor']:10.4f}   {meaning}")
        if name == "kid":
            lines[-1] += f"; standard error {result['kid_std_error']:.4f}"
    share = f"{100 * result['unclaimed_share']:.1f} %"
    lines.append(f"{'unclaimed_share':18}{share:>10}{'1.0 %':>10}   images that no class claims")
    verdict = "they are COPIES" if result["memorised"] else "no copying seen"
    score = f"{result['memorisation_score']:10.1f}{'0':>10}"
    lines.append(f"{'memorisation':18}{score}   below -3 copies training images: {verdict}")
    lines.append(f"class shares, {100 * result['class_distance']:.1f} % away from the real ones:")
    lines += [
        f"    {name:16}{100 * share:6.1f} %"
        for name, share in zip(result["class_names"], result["class_shares"])
    ]
    return "\n".join(lines)
