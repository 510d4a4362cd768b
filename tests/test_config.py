import dataclasses
import math
import os
import pydoc
from pathlib import Path

import pytest

from gan_tf import TrainConfig, UserError
from gan_tf.config import RECIPES


def test_the_defaults_are_those_of_the_assignment():
    config = TrainConfig()
    assert (config.dataset, config.max_images) == ("fashion_mnist", None)
    assert (config.epochs, config.batch_size, config.learning_rate) == (50, 64, 1e-4)
    assert (config.latent_dim, config.snapshot_epochs) == (100, (10, 30, 50))
    assert (config.fast, config.precision) == (True, "float32")
    assert TrainConfig(**RECIPES["homework"]) == config
    assert TrainConfig(**RECIPES["best"]).beta_1 == 0.5


@pytest.mark.parametrize(
    "field, values",
    {
        "epochs": [0, -1, 1.5, math.nan, "64"],
        "batch_size": [0],
        "latent_dim": [0, 1_000_000],  # which would fill the memory
        "max_images": [0, 63],  # less than a batch
        "evaluate_every": [0],
        # The first loss after a step of infinite size is still finite, and would be saved.
        "learning_rate": [0, -1e-4, math.nan, math.inf, 1e39, 1e-46, "fast", None],
        "discriminator_learning_rate": [0],
        "beta_1": [1, -0.1, None],
        "ema_decay": [1],
        "seed": [-1, 2**32, 0.5],
        "dataset": ["", 5, None, "caf\udce9"],
        "precision": ["half"],
        "fast": ["no"],
        "snapshot_epochs": [[0], 10],
        **dict.fromkeys(["run_dir", "data_dir", "manual_dir"], ["", "a\0b", 7]),
    }.items(),
)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(field, values):
    for value in values:
        with pytest.raises(UserError, match=f"`{field}`"):
            TrainConfig(**{field: value})


def test_a_path_is_a_folder_whatever_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("mnist")
    named, path = TrainConfig(dataset="mnist"), TrainConfig(dataset=Path("mnist"))
    assert path.has_image_folder and not named.has_image_folder
    assert path.run_folder == named.run_folder
    assert path.differences(named) == []  # the pictures decide
    assert named.differences(path) == [f"`dataset` is mnist, was {os.path.join('.', 'mnist')}"]
    assert TrainConfig(dataset=tmp_path).dataset == str(tmp_path)


def test_snapshot_epochs_are_sorted_and_checked():
    assert TrainConfig(snapshot_epochs=[30, 10, 30]).snapshot_epochs == (10, 30)
    assert TrainConfig(snapshot_epochs=[]).snapshot_epochs == ()


def test_the_run_folder_is_named_after_the_data_set(tmp_path):
    assert TrainConfig().run_dir is None  # so that another data set gets another folder
    assert TrainConfig().run_folder.as_posix() == "runs/fashion_mnist"
    assert dataclasses.replace(TrainConfig(), dataset="mnist").run_folder.name == "mnist"
    elsewhere = TrainConfig(dataset="mnist", run_dir=tmp_path)
    assert elsewhere.run_folder == tmp_path and elsewhere.run_dir == str(tmp_path)


DECIDING = {
    **{"batch_size": 32, "learning_rate": 0.5, "seed": 1, "latent_dim": 50, "dataset": "mnist"},
    **{"max_images": 100, "fast": False, "precision": "bfloat16", "invert": True, "beta_1": 0.5},
    **{"discriminator_learning_rate": 4e-4, "ema_decay": 0.999},
}
MAY_CHANGE = {
    **{"epochs": 60, "data_dir": "data", "manual_dir": "files", "run_dir": "moved"},
    **{"snapshot_epochs": (1,), "evaluate_every": 5},
}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(TrainConfig)])
def test_only_what_decides_the_numbers_makes_a_difference(field):
    """Every field, so that a new one must find its place in this test."""
    value, default = (DECIDING | MAY_CHANGE)[field], getattr(TrainConfig(), field)
    expected = [f"`{field}` is {value}, was {default}"] if field in DECIDING else []
    assert TrainConfig(**{field: value}).differences(TrainConfig()) == expected


def test_help_explains_each_field():
    lines = pydoc.render_doc(TrainConfig).splitlines()
    for field in dataclasses.fields(TrainConfig):
        assert any(f"{field.name}: {field.metadata['help']}" in line for line in lines), field.name
