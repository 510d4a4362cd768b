import math

import pytest

from gan_tf import TrainConfig, UserError


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
    assert "--" + field.replace("_", "-") in str(refused.value)
    assert repr(value) in str(refused.value)


@pytest.mark.parametrize("value", [0, -1e-4, math.nan, math.inf, "fast", None])
def test_the_learning_rate_is_positive_and_finite(value):
    with pytest.raises(UserError, match="--learning-rate"):
        TrainConfig(learning_rate=value)


@pytest.mark.parametrize("value", [-1, 2**32, 0.5])
def test_the_seed_is_one_that_numpy_takes(value):
    with pytest.raises(UserError, match="--seed"):
        TrainConfig(seed=value)


def test_an_unknown_data_set_is_refused_with_those_that_exist():
    with pytest.raises(UserError, match="fashion_mnist, mnist, kmnist, synthetic.*'cifar10'"):
        TrainConfig(dataset="cifar10")


def test_the_way_of_computing_is_checked():
    assert TrainConfig().fast is True
    with pytest.raises(UserError, match="--precision must be one of float32, bfloat16.*'half'"):
        TrainConfig(precision="half")
    with pytest.raises(UserError, match="--fast"):
        TrainConfig(fast="no")


def test_a_batch_larger_than_the_images_asked_for_is_refused():
    with pytest.raises(UserError, match="--batch-size 64 is larger than --max-images 63"):
        TrainConfig(max_images=63)
    assert TrainConfig(max_images=64).max_images == 64


def test_snapshot_epochs_are_sorted_and_checked():
    assert TrainConfig(snapshot_epochs=[30, 10, 30]).snapshot_epochs == (10, 30)
    assert TrainConfig(snapshot_epochs=[]).snapshot_epochs == ()
    with pytest.raises(UserError, match="--snapshot-epochs"):
        TrainConfig(snapshot_epochs=[0])


def test_the_run_folder_is_named_after_the_data_set():
    assert TrainConfig().run_dir == "runs/fashion_mnist"
    assert TrainConfig(dataset="mnist").run_dir == "runs/mnist"
    assert TrainConfig(dataset="mnist", run_dir="elsewhere").run_dir == "elsewhere"
