"""How good images are: all the measures, against the test images of their data set."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np

from gan_tf import data
from gan_tf.config import TrainConfig, whole_number
from gan_tf.evaluation import metrics
from gan_tf.evaluation.classifier import Classifier, load_classifier
from gan_tf.evaluation.variety import COUNT as VARIETY_COUNT
from gan_tf.evaluation.variety import variety
from gan_tf.run import artifacts
from gan_tf.run.rundir import RunDir
from gan_tf.snapshots import Snapshot, load_snapshot
from gan_tf.system import console, files
from gan_tf.system.errors import UserError, one_line

COUNT = 10_000  # of generated images, as many as there are test images
FEWEST = 1000
_CLAIMED = 0.99  # share of the test images that a class claims, by definition
_COPIES = -3.0  # a score below is less likely than 1 in 700 for fresh images


@dataclasses.dataclass(frozen=True)
class References:
    """What images are compared with: made once, used for every epoch of a run.

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
    """Prepares the comparison with a data set. This is all that test images are used for.

    Features of the training images are computed at first use and kept beside the prepared data.

    Args:
      config: `dataset` and where its data is.

    Raises:
      UserError: the data cannot be had, or has no test split or classes.
    """
    train_images, _ = data.load_labelled(config, "train")
    test_images, _ = data.load_labelled(config, "test")
    classifier = load_classifier(config)
    train_features = _kept_features(classifier, train_images, data.prepared_dir(config))
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


def _kept_features(classifier, images, folder):
    checksum = hashlib.sha256(images.tobytes()).hexdigest()
    path = Path(folder, f"features-{classifier.id}-{checksum[:16]}.npy")
    try:
        features = np.load(path, allow_pickle=False)
        if features.shape == (len(images), classifier.model.outputs[0].shape[1]):
            return features
    except (OSError, ValueError, EOFError):
        pass  # not there yet, or damaged
    features, _ = classifier(data.scaled(images))
    with files.written_whole(path) as unfinished:
        np.save(unfinished, features, allow_pickle=False)
    return features


def evaluate(images: np.ndarray, references: References, seed: int = 0) -> dict:
    """Measures how good images are.

    Args:
      images: `[count, 28, 28, 1]` float32 in [-1, 1], at least 1,000.
      references: of the data set that they should look like.
      seed: chooses the training images that the floor is measured with.

    Returns:
      A dict for JSON. `fcd`, `kid` and `kid_std_error`, `density`, `coverage`, `variety`: see
      `metrics` and `variety`. `fcd_floor`, `kid_floor`, `density_floor`, `coverage_floor`,
      `variety_floor`: the same of as many training images. `class_shares`: ten numbers, in order of
      `class_names`; `class_distance`: their total variation distance from the shares of the test
      images; `smallest_share`. `unclaimed_share`: images stranger to every class than 99 % of
      the test images. `memorisation_score` and `memorised`: see `metrics.copying_score`.
      `classifier`: its id. `images`: how many.
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
    snapshot: Snapshot, count: int = COUNT, seed: int = 0, data_dir=None, manual_dir=None
) -> dict:
    """Draws images from a generator and measures how good they are.

    Args:
      snapshot: from `load_snapshot` or `load_pretrained`.
      count: how many images, at least 1,000; the default is also the number of test images.
      seed: of the noise.
      data_dir, manual_dir: where the data is, if not where the run had it.

    Returns:
      As `evaluate`, and the `epoch`.

    Raises:
      UserError: a number is out of range, or the data cannot be had.
    """
    count = whole_number("count", count, at_least=FEWEST)
    references = load_references(at(snapshot.config, data_dir, manual_dir))
    result = evaluate(snapshot.sample(count, seed), references, seed)
    return {"epoch": snapshot.epoch, **result}


def evaluate_run(
    run_dir,
    count: int = COUNT,
    seed: int = 0,
    averaged: bool = True,
    data_dir=None,
    manual_dir=None,
) -> list[dict]:
    """Measures every snapshot of a run, and writes its evaluation.csv and quality.png.

    Args:
      run_dir: folder of the run, which no other process may be training.
      averaged: as for `load_snapshot`.
      count, seed, data_dir, manual_dir: as for `evaluate_snapshot`.

    Returns:
      What `evaluate_snapshot` returns for each, in order of the epochs.

    Raises:
      UserError: as for `evaluate_snapshot`; or there is no snapshot.
    """
    count = whole_number("count", count, at_least=FEWEST)
    run = RunDir(run_dir)
    config, _ = run.read_config()
    if not (epochs := run.snapshot_epochs()):
        raise UserError(f"{run.snapshots} holds no snapshot yet")
    with run.locked():
        references = load_references(at(config, data_dir, manual_dir))
        results = []
        for epoch in console.bar(epochs, "epochs"):
            samples = load_snapshot(run_dir, epoch, averaged).sample(count, seed)
            results.append({"epoch": epoch, **evaluate(samples, references, seed)})
        run.write_evaluation([as_row(result) for result in results])
        artifacts.write_quality(run)
    return results


def at(config: TrainConfig, data_dir, manual_dir) -> TrainConfig:
    """Returns the config with its data in another place, where one is given."""
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


def as_row(result: dict) -> dict:
    """Returns the numbers of a result as a row of evaluation.csv: each class share by itself."""
    shares = {f"share_{index}": share for index, share in enumerate(result["class_shares"])}
    numbers = {name: value for name, value in result.items() if isinstance(value, (int, float))}
    return numbers | shares | {"memorised": int(result["memorised"])}


def read_images(path) -> np.ndarray:
    """Reads images of any other program.

    Args:
      path: a `.npy` file, `[count, 28, 28]` or `[count, 28, 28, 1]`, uint8, or float in [-1, 1].

    Returns:
      `[count, 28, 28, 1]` float32 in [-1, 1].

    Raises:
      UserError: it is no such file; the text names what is wrong.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"`images` {path} is no NumPy array ({one_line(error)})") from error
    if not isinstance(array, np.ndarray):
        raise UserError(f"`images` {path} holds several arrays: save one as .npy")
    if array.shape[1:] not in [(28, 28), (28, 28, 1)]:
        raise UserError(
            f"`images` {path} has the shape {list(array.shape)}; needed is [count, 28, 28] or"
            " [count, 28, 28, 1]"
        )
    whole_number("images", len(array), at_least=FEWEST)
    array = array.reshape(-1, 28, 28, 1)
    if array.dtype == np.uint8:
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
    return array


_MEANINGS = [
    ("fcd", "Fréchet classifier distance: lower is better"),
    ("kid", "kernel distance: lower is better"),
    ("density", "where real images are dense: 1 is like real ones, lower is worse"),
    ("coverage", "share of real images with a generated one near: higher is better"),
    ("variety", "mean distance between two images: near 0 is collapse"),
]


def as_text(result: dict) -> str:
    """Returns what `evaluate` returns in lines for people."""
    after = f" after epoch {result['epoch']}" if result.get("epoch") else ""
    lines = [
        f"{result['images']} images{after}, classifier {result['classifier']}",
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
