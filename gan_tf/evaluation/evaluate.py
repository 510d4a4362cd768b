"""Measures the quality of images against the test images of their data set."""

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

COUNT = 10_000  # generated images, as many as there are test images
MIN_COUNT = 1000
_CLAIMED_SHARE = 0.99  # share of the test images that a class claims, by definition
_COPYING_THRESHOLD = -3.0  # lower scores have a probability of 1 in 700 for new images
_MAX_BYTES = 2**30  # of a file of features


@dataclasses.dataclass(frozen=True)
class References:
    """What images are compared with, for all epochs of a run.

    Attributes:
      classifier: the `Classifier` that computes the features.
      train_images: `[count, 28, 28, 1]` uint8, all training images.
      train_features: `[count, 64]` float32.
      test_images, test_features: the same of the test images.
      test_labels: `[count]` int64, the classes of the test images by the classifier.
      test_distances: `[count]`, distance from each test image to the nearest training image.
      claim_radius: the highest strangeness at which a class claims an image.
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
    """Prepares the comparison with a data set. Nothing else uses the test images.

    Args:
      config: `dataset` and the folders of its data.

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
        float(np.quantile(metrics.strangeness(test_features, train_features), _CLAIMED_SHARE)),
    )


def training_features(classifier: Classifier, images: np.ndarray, folder) -> np.ndarray:
    """Returns the features `[count, 64]` of uint8 images, which are cached in a folder."""
    checksum = data.checksum(images)
    path = Path(folder, f"features-{classifier.id[-8:]}-{checksum[:16]}.npy")
    if (cached := files.read_checked(path, at_most=_MAX_BYTES)) is not None:
        with contextlib.suppress(ValueError):  # not an array
            return np.load(io.BytesIO(cached), allow_pickle=False)
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
      seed: selects the training images for the floors.

    Returns:
      A dict for JSON:
      - `classifier`: id of the classifier. `images`: number of images.
      - `fcd`, `kid` and `kid_std_error`, `density`, `coverage`, `variety`: see `metrics` and
        `variety`. `fcd_floor`, `kid_floor`, `density_floor` and `coverage_floor` are the same for
        as many training images, or for all of them; `variety_floor` for test images.
      - `class_shares`: in the order of `class_names`. `class_distance`: their total variation
        distance from the shares of the test images. `smallest_share`.
      - `unclaimed_share`: share of images that are stranger than 99 % of the test images.
      - `memorisation_score` and `memorised`: see `metrics.copying_score`.
    """
    features, labels = references.classifier(images)
    chosen = np.random.default_rng(seed).permutation(len(references.train_images))[: len(images)]
    measured = _compare(features, references.test_features)
    floor = _compare(references.train_features[chosen], references.test_features)
    classes = len(references.classifier.class_names)
    shares = np.bincount(labels, minlength=classes) / len(labels)
    real_labels = references.test_labels
    real_shares = np.bincount(real_labels, minlength=classes) / len(real_labels)
    distances, _ = metrics.nearest(features, references.train_features)
    score = metrics.copying_score(distances[:, 0], labels, references.test_distances, real_labels)
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
        "memorised": score < _COPYING_THRESHOLD,
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
    references: References | None = None,
) -> dict:
    """Samples images from a generator and measures their quality.

    Args:
      snapshot: from `load_snapshot` or `load_pretrained`.
      count: number of images, 1,000 to 1,000,000; by default that of the test images.
      seed: seed of the noise, 0 to 2**32 - 1.
      data_dir, manual_dir: folders of the data, if they differ from the run's.
      keep: as for `Snapshot.sample`.
      references: those of the data set; loaded if they are not given.

    Returns:
      As `evaluate`, and the `epoch`; if `keep` is below 1, also `keep` and how many images were
      `sampled`.

    Raises:
      UserError: a number is out of range, or the data is not available.
    """
    check_numbers(count, seed)
    keep = check_keep(keep)
    config = with_data_folders(snapshot.config, data_dir, manual_dir)
    snapshot = dataclasses.replace(snapshot, config=config)
    references = references or load_references(config)
    if keep < 1:
        images, sampled = take(snapshot.batches(seed, keep), count)
        result = evaluate(images, references, seed)
        return {"epoch": snapshot.epoch, "keep": keep, "sampled": sampled, **result}
    result = evaluate(snapshot.sample(count, seed), references, seed)
    # The same variety as in history.csv, whatever the seed.
    return {"epoch": snapshot.epoch, **result, "variety": generator_variety(snapshot)}


def evaluate_file(path, config: TrainConfig, seed: int = 0) -> dict:
    """Measures the quality of images from another program, as `evaluate` does.

    Args:
      path: a `.npy` file, or an `.npz` file with one array: `[count, 28, 28]` or
        `[count, 28, 28, 1]`, uint8 in [0, 255] or float in [-1, 1]; at least 1,000 images.
      config: the `dataset` that the images should look like, and the folders of its data.
      seed: as for `evaluate`.

    Raises:
      UserError: the file does not contain such an array, the seed is out of range, or as for
        `load_references`.
    """
    check_numbers(COUNT, seed)
    images = read_images(path)
    return evaluate(images, load_references(config), seed)


def check_numbers(count: int, seed: int):
    """Raises UserError if the count or the seed is out of range."""
    whole_number("count", count, at_least=MIN_COUNT, at_most=MOST_IMAGES)
    whole_number("seed", seed, at_least=0, at_most=2**32 - 1)


def with_data_folders(config: TrainConfig, data_dir, manual_dir) -> TrainConfig:
    """Returns the config with other folders of the data, unless they are None."""
    folders = {"data_dir": data_dir, "manual_dir": manual_dir}
    given = {name: folder for name, folder in folders.items() if folder is not None}
    return dataclasses.replace(config, **given)


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
    """Reads the images of `evaluate_file` as `[count, 28, 28, 1]` float32 in [-1, 1]."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError("not a regular file")  # a pipe might never end
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(array, np.lib.npyio.NpzFile):
            if len(array.files) != 1:
                raise ValueError(f"it contains {len(array.files)} arrays")
            array = array[array.files[0]]
        array = np.asanyarray(array)
    except FileNotFoundError:
        raise UserError(f"`images` {path}: there is no such file") from None
    except Exception as error:  # a foreign file may raise anything
        raise UserError(f"`images` {path} is not one NumPy array ({one_line(error)})") from error
    has_type = array.dtype == np.uint8 or array.dtype.kind == "f"
    if not has_type or array.shape[1:] not in [(28, 28), (28, 28, 1)]:
        raise UserError(
            f"`images` {path} is {array.dtype} of shape {list(array.shape)}, but must be uint8 or"
            " float of shape [count, 28, 28] or [count, 28, 28, 1]"
        )
    if len(array) < MIN_COUNT:
        raise UserError(
            f"`images` {path} contains {len(array)} images, and needs {MIN_COUNT} or more"
        )
    array = array.reshape(-1, 28, 28, 1)
    lowest, highest = float(array.min()), float(array.max())
    if np.isnan(lowest):
        raise UserError(f"`images` {path} contains NaN")
    if array.dtype == np.uint8 and highest > 1:
        return data.scaled(np.asarray(array))
    if array.dtype.kind == "f" and -1.001 <= lowest < 0 and highest <= 1.001:
        return np.asarray(array, np.float32)
    raise UserError(
        f"`images` {path} has values from {lowest:g} to {highest:g}, but must be uint8 in [0, 255],"
        " or float in [-1, 1] with black at -1"
    )


_MEANINGS = {
    "fcd": "Fréchet classifier distance: lower is better",
    "kid": "kernel distance: lower is better",
    "density": "how densely real images surround them: 1 is like real ones, lower is worse",
    "coverage": "share of real images with a generated one nearby: higher is better",
    "variety": "mean distance between two images: near 0 is collapse",
}


def as_text(result: dict) -> str:
    """Formats the result of `evaluate` as text."""
    after = f" after epoch {result['epoch']}" if result.get("epoch") else ""
    kept = f", kept from {result['sampled']}" if "sampled" in result else ""
    lines = [
        f"{result['images']} images{after}{kept}, classifier {result['classifier']}",
        f"{'':18}{'images':>10}{'real':>10}",
    ]
    for name, meaning in _MEANINGS.items():
        lines.append(f"{name:18}{result[name]:10.4f}{result[f'{name}_floor']:10.4f}   {meaning}")
        if name == "kid":
            lines[-1] += f"; standard error {result['kid_std_error']:.4f}"
    share = f"{100 * result['unclaimed_share']:.1f} %"
    lines.append(f"{'unclaimed_share':18}{share:>10}{'1.0 %':>10}   images that no class claims")
    verdict = "they are COPIES" if result["memorised"] else "no sign of copies"
    score = f"{result['memorisation_score']:10.1f}{'0':>10}"
    lines.append(f"{'memorisation':18}{score}   below -3 they copy training images: {verdict}")
    lines.append(f"class shares, {100 * result['class_distance']:.1f} % from the real ones:")
    lines += [
        f"    {name:16}{100 * share:6.1f} %"
        for name, share in zip(result["class_names"], result["class_shares"])
    ]
    return "\n".join(lines)
