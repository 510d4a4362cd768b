import dataclasses
import json
import os
import shutil
import sys
import warnings

import numpy as np
import pytest
import tensorflow as tf
from helpers import flip_a_bit, remove, replace_by_pipe, truncate

from gan_tf import TrainConfig, UserError, data
from gan_tf.data.classifier import (
    SHIPPED,
    classifier_path,
    load_classifier,
    read_classifier,
    train_classifier,
)
from gan_tf.data.synthetic import CLASSES
from gan_tf.evaluation.evaluate import training_features


def test_the_shipped_classifier_is_as_small_and_as_good_as_documented():
    assert SHIPPED.stat().st_size < 1e6
    classifier = load_classifier(TrainConfig())
    assert classifier.id == "fashion_mnist-f13183bf"
    assert classifier.test_accuracy == pytest.approx(0.930, abs=5e-4)
    assert classifier.class_names[0] == "T-shirt/top" and len(classifier.class_names) == 10


def test_a_classifier_is_trained_once_and_then_read(data_dir):
    config = TrainConfig(dataset="synthetic", data_dir=data_dir)
    classifier = load_classifier(config)
    record = json.loads(classifier_path(config).with_suffix(".json").read_text())
    assert classifier.id == record["id"] == f"synthetic-{record['sha256'][:8]}"
    assert classifier.class_names == record["class_names"] == list(CLASSES)
    images, labels = data.load_labelled(config, "test")
    features, predicted = classifier(data.scaled(images))
    assert classifier.test_accuracy == np.mean(predicted == labels) > 0.3
    assert features.shape == (len(images), 64)
    train_images, _ = data.load_labelled(config, "train")
    features, _ = classifier(data.scaled(train_images))
    assert np.sqrt(np.mean(features**2)) == pytest.approx(1, abs=1e-3)


@pytest.fixture
def weights_path(data_dir, tmp_path):
    """The path of the weights in a copy of the classifier's two files."""
    path = classifier_path(TrainConfig(dataset="synthetic", data_dir=data_dir))
    for suffix in (".npz", ".json"):
        shutil.copy(path.with_suffix(suffix), tmp_path)
    return tmp_path / path.name


def change_record(path, **changes):
    record = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(record | changes))


ANY_DAMAGE = [truncate, flip_a_bit, replace_by_pipe, remove]


@pytest.mark.skipif(sys.platform == "win32", reason="makes a pipe")
@pytest.mark.parametrize(
    "damage",
    [
        *ANY_DAMAGE,
        lambda path: replace_by_pipe(path.with_suffix(".json")),
        lambda path: path.with_suffix(".json").write_text("[" * 100_000),
        lambda path: change_record(path, id="x/../../../victim/evil"),
        lambda path: change_record(path, class_names=["bag"]),
        lambda path: change_record(path, test_accuracy=None),
    ],
)
def test_a_damaged_or_foreign_classifier_is_refused_by_name(weights_path, damage):
    damage(weights_path)
    message = f"{weights_path.name} or the .json beside it is missing or damaged"
    with pytest.raises(UserError, match=message):
        read_classifier(weights_path)


@pytest.fixture
def eager():
    """Saves the compilation of a single step."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_what_cannot_be_kept_is_computed_and_warned_of_once(tmp_path, monkeypatch, eager):
    """For example in a classroom with a read-only data folder."""
    config = TrainConfig(dataset="synthetic", data_dir=tmp_path)
    (tmp_path / "gan_tf").write_text("a file, because root could write to any folder")
    monkeypatch.setattr(data.synthetic, "COUNT", 128)
    monkeypatch.setattr(data.synthetic, "TEST_COUNT", 20)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("default")
        warnings.filterwarnings("ignore", ".*run_functions_eagerly")
        classifier = train_classifier(config, classifier_path(config), epochs=1)
        images, _ = data.load_labelled(config, "train")
        features = training_features(classifier, images, tmp_path / "gan_tf")
    np.testing.assert_array_equal(features, classifier(data.scaled(images))[0])
    (warning,) = warned
    assert f"cannot write to {tmp_path / 'gan_tf'}" in str(warning.message)
    assert os.listdir(tmp_path) == ["gan_tf"]


@pytest.mark.skipif(sys.platform == "win32", reason="makes a pipe")
@pytest.mark.parametrize(
    "damage",
    [
        *ANY_DAMAGE,
        lambda path: np.save(path, np.zeros([50, 64], np.float32)),
    ],
)
def test_damaged_features_are_computed_again(data_dir, tmp_path, damage):
    config = TrainConfig(dataset="synthetic", data_dir=data_dir)
    classifier = load_classifier(config)
    images = data.load_labelled(config, "test")[0][:50]
    features = training_features(classifier, images, tmp_path)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    np.testing.assert_array_equal(np.load(path), features)
    damage(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a pipe cannot be replaced
        np.testing.assert_array_equal(training_features(classifier, images, tmp_path), features)
    if damage is not replace_by_pipe:
        assert path.read_bytes() == content
        without_model = dataclasses.replace(classifier, model=None)  # can only read the cache
        again = training_features(without_model, images, tmp_path)
        np.testing.assert_array_equal(again, features)
