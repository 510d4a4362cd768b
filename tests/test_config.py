import dataclasses
import math
import os
import pydoc
from pathlib import Path

import pytest

from gan_tf import TrainConfig, UserError
from gan_tf.config import RECIPES


def test_the_defaults_are_the_homework():
    config = TrainConfig()
    assert config.dataset == "fashion_mnist"
    assert config.epochs == 50
    assert config.batch_size == 64
    assert config.learning_rate == 1e-4
    assert config.latent_dim == 100
    assert config.snapshot_epochs == (10, 30, 50)
    assert config.max_images is None
    assert config.precision == "float32"


@pytest.mark.parametrize("field", ["epochs", "batch_size", "latent_dim", "max_images"])
@pytest.mark.parametrize("value", [0, -1, 1.5, math.nan, "64"])
def test_counts_are_whole_and_positive(field, value):
    with pytest.raises(UserError) as refused:
        TrainConfig(**{field: value})
    assert f"`{field}`" in str(refused.value)
    assert repr(value) in str(refused.value)


def test_a_noise_vector_that_would_fill_the_memory_is_refused():
    with pytest.raises(UserError, match="`latent_dim` .* from 1 to 65536, not 1000000"):
        TrainConfig(latent_dim=1_000_000)


@pytest.mark.parametrize("value", [0, -1e-4, math.nan, math.inf, 1e39, 1e-46, "fast", None])
def test_the_learning_rate_is_positive_and_finite_in_float32(value):
    """The first loss after a step of infinite size is finite still, and so would be saved."""
    with pytest.raises(UserError, match="`learning_rate`"):
        TrainConfig(learning_rate=value)


@pytest.mark.parametrize("value", [-1, 2**32, 0.5])
def test_the_seed_is_one_that_numpy_takes(value):
    with pytest.raises(UserError, match="`seed`"):
        TrainConfig(seed=value)


@pytest.mark.parametrize("value", ["", 5, None, "caf\udce9"])
def test_a_data_set_is_a_name_or_a_folder(value):
    with pytest.raises(UserError, match="`dataset` (must be a name or a folder|.* is not UTF-8)"):
        TrainConfig(dataset=value)


def test_a_path_is_a_folder_whatever_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("mnist")
    named, path = TrainConfig(dataset="mnist"), TrainConfig(dataset=Path("mnist"))
    assert path.has_image_folder and not named.has_image_folder
    assert path.run_folder == named.run_folder
    assert path.differences(named) == []  # the pictures decide
    assert named.differences(path) == [f"`dataset` is mnist, was {os.path.join('.', 'mnist')}"]
    assert TrainConfig(dataset=tmp_path).dataset == str(tmp_path)


def test_the_way_of_computing_is_checked():
    assert TrainConfig().fast is True
    with pytest.raises(UserError, match="`precision` must be one of float32, bfloat16.*'half'"):
        TrainConfig(precision="half")
    with pytest.raises(UserError, match="`fast`"):
        TrainConfig(fast="no")


def test_a_batch_larger_than_the_images_asked_for_is_refused():
    with pytest.raises(UserError, match="`batch_size` 64 is larger than `max_images` 63"):
        TrainConfig(max_images=63)
    assert TrainConfig(max_images=64).max_images == 64


def test_snapshot_epochs_are_sorted_and_checked():
    assert TrainConfig(snapshot_epochs=[30, 10, 30]).snapshot_epochs == (10, 30)
    assert TrainConfig(snapshot_epochs=[]).snapshot_epochs == ()
    for wrong in [[0], 10]:
        with pytest.raises(UserError, match="`snapshot_epochs`"):
            TrainConfig(snapshot_epochs=wrong)


@pytest.mark.parametrize("field", ["run_dir", "data_dir", "manual_dir"])
@pytest.mark.parametrize("value", ["", "a\0b", 7])
def test_a_folder_has_a_name(field, value):
    with pytest.raises(UserError, match=f"`{field}`"):
        TrainConfig(**{field: value})


def test_the_run_folder_is_named_after_the_data_set(tmp_path):
    assert TrainConfig().run_dir is None  # so that another data set gets another folder
    assert TrainConfig().run_folder.as_posix() == "runs/fashion_mnist"
    assert dataclasses.replace(TrainConfig(), dataset="mnist").run_folder.name == "mnist"
    elsewhere = TrainConfig(dataset="mnist", run_dir=tmp_path)
    assert elsewhere.run_folder == tmp_path and elsewhere.run_dir == str(tmp_path)


OTHER_VALUES = {
    "epochs": 60,
    "batch_size": 32,
    "learning_rate": 0.5,
    "seed": 1,
    "latent_dim": 50,
    "dataset": "mnist",
    "data_dir": "there",
    "manual_dir": "here",
    "max_images": 100,
    "run_dir": "moved",
    "snapshot_epochs": (1,),
    "fast": False,
    "precision": "bfloat16",
    "invert": True,
    "evaluate_every": 5,
    "beta_1": 0.5,
    "discriminator_learning_rate": 4e-4,
    "ema_decay": 0.999,
}
MAY_CHANGE = {"epochs", "data_dir", "manual_dir", "run_dir", "snapshot_epochs", "evaluate_every"}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(TrainConfig)])
def test_only_what_decides_the_numbers_makes_a_difference(field):
    """Every field, so that a new one must find its place in this test."""
    other = TrainConfig(**{field: OTHER_VALUES[field]})
    value, default = OTHER_VALUES[field], getattr(TrainConfig(), field)
    expected = [] if field in MAY_CHANGE else [f"`{field}` is {value}, was {default}"]
    assert other.differences(TrainConfig()) == expected


def test_help_explains_each_field():
    lines = pydoc.render_doc(TrainConfig).splitlines()
    for field in dataclasses.fields(TrainConfig):
        assert any(f"{field.name}: {field.metadata['help']}" in line for line in lines), field.name


def test_a_recipe_is_nothing_but_values_of_fields():
    assert TrainConfig(**RECIPES["homework"]) == TrainConfig()
    assert TrainConfig(**RECIPES["best"]).beta_1 == 0.5
