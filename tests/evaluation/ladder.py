"""Images with known faults, and the scores of each.

    python tests/evaluation/ladder.py DATA_DIR

prints the table of docs/evaluation.md; DATA_DIR is a folder with Fashion-MNIST from TFDS.
"""

import sys

import numpy as np
import scipy.ndimage

from gan_tf import TrainConfig
from gan_tf.data import scaled
from gan_tf.evaluation.evaluate import COUNT, References, evaluate, load_references

_SHOWN = ["fcd", "kid", "density", "coverage", "unclaimed_share", "memorisation_score", "variety"]


def rungs(references: References, count: int) -> dict:
    """Returns arrays `[count, 28, 28, 1]`, float32 in [-1, 1], by the name of their fault."""
    train = scaled(references.train_images[:count])
    test = scaled(references.test_images[:count])
    random = np.random.default_rng(0)

    def with_noise(grey_levels):
        noise = random.normal(0, grey_levels / 127.5, train.shape)
        return np.clip(train + noise, -1, 1).astype(np.float32)

    more = scaled(references.train_images[: count * 6 // 5])
    _, labels = references.classifier(more)
    sandal = references.classifier.class_names.index("Sandal")
    halved = train.copy()
    halved[:, :, 14:] = -1
    return {
        "test images": test,
        "training images": train,
        "half of them training images": np.concatenate([train[: count // 2], test[: count // 2]]),
        "noise of 16 grey levels": with_noise(16),
        "noise of 32 grey levels": with_noise(32),
        "noise of 64 grey levels": with_noise(64),
        "blurred by 1 pixel": scipy.ndimage.gaussian_filter(train, [0, 1, 1, 0]),
        "no sandals": more[labels != sandal][:count],
        "ten images, 1,000 times each": np.repeat(train[:10], count // 10, axis=0),
        "the right half missing": halved,
        "nothing but noise": random.uniform(-1, 1, train.shape).astype(np.float32),
    }


def measure(references: References, count: int = COUNT) -> dict:
    """Returns the result of `evaluate` for each rung."""
    return {name: evaluate(images, references) for name, images in rungs(references, count).items()}


if __name__ == "__main__":
    results = measure(load_references(TrainConfig(data_dir=sys.argv[1])))
    print("| images | " + " | ".join(_SHOWN) + " |")
    print("|---" * (1 + len(_SHOWN)) + "|")
    for name, result in results.items():
        print(f"| {name} | " + " | ".join(f"{result[measure]:.4g}" for measure in _SHOWN) + " |")
