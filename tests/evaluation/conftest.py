"""A classifier and features of few synthetic images, made once for all tests of the evaluation."""

import pytest

from gan_tf import TrainConfig
from gan_tf.data import synthetic
from gan_tf.data.classifier import classifier_path, train_classifier
from gan_tf.evaluation.evaluate import load_references

TRAINING_IMAGES = 1000


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """A data folder with a classifier in it, and the references that come of it."""
    config = TrainConfig(dataset="synthetic", data_dir=tmp_path_factory.mktemp("data"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "COUNT", TRAINING_IMAGES)
        train_classifier(config, classifier_path(config), epochs=4)
        return config.data_dir, load_references(config)


@pytest.fixture
def data_dir(made_once, monkeypatch):
    monkeypatch.setattr(synthetic, "COUNT", TRAINING_IMAGES)
    return made_once[0]


@pytest.fixture(scope="session")
def references(made_once):
    return made_once[1]
