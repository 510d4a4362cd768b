"""The small classifier that turns images into the features of the evaluation.

Scores by different classifiers cannot be compared, so every result names the id of its classifier.
"""

import dataclasses
import hashlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from gan_tf import data
from gan_tf.config import TrainConfig
from gan_tf.system import console, files
from gan_tf.system.errors import UserError, one_line

SHIPPED = Path(__file__).parent.parent / "weights" / "fashion_mnist_classifier.npz"
FEATURES = 64
_EPOCHS = 8
_BATCH = 128
_CALL_BATCH = 500
_SEED = 0
_MAX_BYTES = 2**24  # of the weights, which take less than 1 MB


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A trained classifier.

    Attributes:
      model: Keras model from `[batch, 28, 28, 1]` in [-1, 1] to features and logits.
      id: name of the data set, and the first digits of the SHA-256 of the weights.
      test_accuracy: share of the test images that are classified correctly.
      class_names: names of the classes, in the order of their labels.
    """

    model: tf.keras.Model
    id: str
    test_accuracy: float
    class_names: list[str]

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Computes the features and the classes of images.

        Args:
          images: `[count, 28, 28, 1]` float32 in [-1, 1].

        Returns:
          `[count, 64]` float32, with a root mean square of 1 over the training images; and
          `[count]` int64.
        """
        features, labels = [], []
        for first in range(0, len(images), _CALL_BATCH):
            batch = tf.constant(images[first : first + _CALL_BATCH])
            batch_features, logits = self.model(batch, training=False)
            features.append(batch_features)
            labels.append(tf.argmax(logits, axis=1))
        return np.concatenate(features), np.concatenate(labels)


def load_classifier(config: TrainConfig) -> Classifier:
    """Returns the classifier of a data set, which is trained at its first use if necessary.

    Args:
      config: `dataset` and the folders of its data.

    Raises:
      UserError: as for `data.load_labelled`, or a file of the classifier is damaged.
    """
    if config.dataset == "fashion_mnist" and not config.invert:
        return read_classifier(SHIPPED)
    path = classifier_path(config)
    if path.with_suffix(".json").exists():
        return read_classifier(path)
    return train_classifier(config, path)


def classifier_path(config: TrainConfig) -> Path:
    """Returns the path of a classifier that is not part of the package."""
    inverted = "-inverted" if config.invert else ""
    seed = f"-{config.seed}" if config.dataset == "synthetic" else ""
    name = f"{config.dataset.replace('/', '_')}{seed}{inverted}_classifier.npz"
    return data.prepared_dir(config) / name


def train_classifier(config: TrainConfig, path, epochs: int = _EPOCHS) -> Classifier:
    """Trains a classifier on the training split, and writes it with its test accuracy.

    `train_classifier(TrainConfig(), SHIPPED)` made the one in the package.

    Args:
      config: `dataset` and the folders of its data.
      path: path of the `.npz` file; a `.json` file is written beside it.
      epochs: number of passes over the training images.

    Raises:
      UserError: as for `data.load_labelled`.
    """
    images, labels = data.load_labelled(config, "train")
    test_images, test_labels = data.load_labelled(config, "test")
    names = data.class_names(config)
    # Standard output is for the object that `--json` prints.
    print(f"training a classifier of {config.dataset} once, for minutes: {path}", file=sys.stderr)
    tf.keras.utils.set_random_seed(_SEED)
    model = _make_model(len(names))
    steps = epochs * -(-len(images) // _BATCH)
    rate = tf.keras.optimizers.schedules.CosineDecay(2e-3, steps)
    optimizer = tf.keras.optimizers.AdamW(rate, weight_decay=1e-3)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Keras 3.3 would apply a loss of `[None, loss]` to the features.
    trained = tf.keras.Model(model.inputs, model.outputs[1])
    trained.compile(optimizer, loss)
    batches = (
        tf.data.Dataset.from_tensor_slices((data.scaled(images), labels))
        .shuffle(len(images), seed=_SEED)
        .batch(_BATCH)
        .map(lambda x, y: (_shift(x), y))
    )
    with console.bar(range(epochs), "epochs") as bar:
        callback = tf.keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: bar.update())
        trained.fit(batches, epochs=epochs, shuffle=False, verbose=0, callbacks=[callback])
    classifier = Classifier(model, "", 0.0, names)
    _scale_features(model, classifier(data.scaled(images))[0])
    _, predicted_labels = classifier(data.scaled(test_images))

    content = io.BytesIO()
    arrays = {f"{index:02}": weight for index, weight in enumerate(model.get_weights())}
    np.savez_compressed(content, **arrays)
    checksum = hashlib.sha256(content.getvalue()).hexdigest()
    record = {
        "id": f"{config.dataset}-{checksum[:8]}",
        "sha256": checksum,
        "test_accuracy": float(np.mean(predicted_labels == test_labels)),
        "class_names": names,
        "epochs": epochs,
        "tensorflow": tf.__version__,
    }
    files.keep(path, content.getvalue())
    files.keep(Path(path).with_suffix(".json"), (json.dumps(record, indent=2) + "\n").encode())
    return dataclasses.replace(classifier, id=record["id"], test_accuracy=record["test_accuracy"])


def read_classifier(path) -> Classifier:
    """Reads a classifier that `train_classifier` wrote.

    Raises:
      UserError: a file is missing, damaged, or not a classifier of this kind.
    """
    path = Path(path)
    try:
        record = json.loads(files.read_text(path.with_suffix(".json")))
        content = files.read_bytes(path, _MAX_BYTES)
        checksum = hashlib.sha256(content).hexdigest()
        if checksum != record["sha256"] or not record["id"].endswith(checksum[:8]):
            raise ValueError("the SHA-256 is not the recorded one")
        names = [str(name) for name in record["class_names"]]
        model = _make_model(len(names))
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            model.set_weights([arrays[name] for name in sorted(arrays)])
        return Classifier(model, record["id"], float(record["test_accuracy"]), names)
    except Exception as error:  # a damaged file may raise anything
        raise UserError(
            f"{path} or the .json beside it is missing or damaged ({one_line(error)}): install"
            " gan_tf again, or delete both files if they are beside your data"
        ) from error


def _make_model(classes):
    layers = tf.keras.layers

    def convolution(filters, inputs):
        outputs = layers.Conv2D(filters, 3, padding="same", use_bias=False)(inputs)
        return layers.ReLU()(layers.BatchNormalization()(outputs))

    images = layers.Input([28, 28, 1])
    x = layers.MaxPooling2D()(convolution(32, images))  # [batch, 14, 14, 32]
    x = layers.MaxPooling2D()(convolution(64, convolution(64, x)))  # [batch, 7, 7, 64]
    x = layers.MaxPooling2D()(convolution(128, x))  # [batch, 3, 3, 128]
    x = layers.Dropout(0.3)(layers.Flatten()(x))  # [batch, 1152]
    features = layers.Dense(FEATURES, name="features")(x)  # [batch, 64]
    logits = layers.Dense(classes, name="logits")(layers.ReLU()(features))  # [batch, classes]
    return tf.keras.Model(images, [features, logits])


def _scale_features(model, features):
    """Scales the features to a root mean square of 1, without a change of the logits."""
    scale = np.sqrt(np.mean(features**2))
    kernel, bias = model.get_layer("features").get_weights()
    model.get_layer("features").set_weights([kernel / scale, bias / scale])
    kernel, bias = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights([kernel * scale, bias])


def _shift(images):
    """Shifts each image by up to one pixel in both directions, against overfitting."""
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=-1)
    corner = tf.random.uniform([tf.shape(images)[0], 2], 0, 3, tf.int32)
    offsets = tf.range(28)
    padded = tf.gather(padded, corner[:, :1] + offsets, axis=1, batch_dims=1)
    return tf.gather(padded, corner[:, 1:] + offsets, axis=2, batch_dims=1)
