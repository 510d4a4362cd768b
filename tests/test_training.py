import csv

import numpy as np
import pytest
import tensorflow as tf
from helpers import SMALL_STEPS, assert_same_outcome, contents, outcome

from gan_tf import RunFailed, TrainConfig, UserError, train
from gan_tf.losses import discriminator_loss, generator_loss
from gan_tf.models import make_discriminator, make_generator
from gan_tf.rundir import RunDir
from gan_tf.sampling import make_noise
from gan_tf.training import METRICS, make_train_step


class Networks:
    """Two networks with optimizers, the same for the same seed."""

    def __init__(self, optimizer=lambda: tf.keras.optimizers.Adam(1e-4)):
        tf.keras.utils.set_random_seed(0)
        self.generator, self.discriminator = make_generator(), make_discriminator()
        self.optimizers = [optimizer(), optimizer()]
        for model, optimizer in zip([self.generator, self.discriminator], self.optimizers):
            optimizer.build(model.trainable_variables)

    def step(self, train_step, images, noise):
        return train_step(self.generator, self.discriminator, *self.optimizers, images, noise)

    def variables(self):
        models = [variable.numpy() for variable in self.generator.variables]
        return models + [variable.numpy() for variable in self.discriminator.variables]


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(0).uniform(-1, 1, [8, 28, 28, 1]).astype(np.float32)
    return tf.constant(images), make_noise(8, 100, seed=0, index=0)


def test_a_step_is_simultaneous_gradient_descent(batch):
    """With plain SGD both networks move by their gradients at the point where both began."""
    images, noise = batch
    stepped = Networks(lambda: tf.keras.optimizers.SGD(0.5))
    metrics = stepped.step(make_train_step(), images, noise)

    start = Networks()
    with tf.GradientTape(persistent=True) as tape:
        fake_images = start.generator(noise, training=True)
        real_logits = start.discriminator(images, training=True)
        fake_logits = start.discriminator(fake_images, training=True)
        losses = generator_loss(fake_logits), discriminator_loss(real_logits, fake_logits)
    models = (start.generator, stepped.generator), (start.discriminator, stepped.discriminator)
    for loss, (before, after), network in zip(losses, models, ["generator", "discriminator"]):
        gradients = tape.gradient(loss, before.trainable_variables)
        scale = max(np.abs(gradient).max() for gradient in gradients)
        for old, new, gradient in zip(
            before.trainable_variables, after.trainable_variables, gradients
        ):
            np.testing.assert_allclose(old - 0.5 * gradient, new, atol=1e-4 * scale)
        norm = np.sqrt(sum(np.sum(np.square(gradient)) for gradient in gradients))
        assert float(metrics[f"{network}_gradient_norm"]) == pytest.approx(norm, rel=1e-3)
        assert float(metrics[f"{network}_loss"]) == pytest.approx(float(loss), rel=1e-5)
    real, fake = real_logits.numpy(), fake_logits.numpy()
    expected = {
        "real_probability": (1 / (1 + np.exp(-real))).mean(),
        "fake_probability": (1 / (1 + np.exp(-fake))).mean(),
        "real_accuracy": (real > 0).mean(),
        "fake_accuracy": (fake < 0).mean(),
    }
    for name, value in expected.items():
        assert float(metrics[name]) == pytest.approx(value, abs=1e-5)
    assert set(metrics) == set(METRICS)


def test_the_first_step_of_adam_is_the_learning_rate(batch):
    """Adam's first update is -rate * gradient / (|gradient| + epsilon): the rate, signed."""
    before, networks = Networks(), Networks()
    networks.step(make_train_step(), *batch)
    moved = networks.generator.layers[0].kernel - before.generator.layers[0].kernel
    sizes = np.abs(moved)
    assert np.median(sizes) == pytest.approx(1e-4, rel=0.01)
    assert sizes.max() <= 1.001e-4


def test_a_step_is_a_tf_function_and_the_same_every_time(batch):
    results = []
    for _ in range(2):
        networks, train_step = Networks(), make_train_step()
        assert hasattr(train_step, "get_concrete_function")
        for _ in range(3):
            metrics = networks.step(train_step, *batch)
        results.append(networks.variables() + [value.numpy() for value in metrics.values()])
    for value, again in zip(*results, strict=True):
        np.testing.assert_array_equal(value, again)


def test_the_discriminator_learns_to_tell_when_the_generator_rests(batch):
    networks, train_step = Networks(), make_train_step()
    networks.optimizers[0] = tf.keras.optimizers.SGD(0.0)
    for _ in range(40):
        metrics = networks.step(train_step, *batch)
    assert float(metrics["discriminator_loss"]) < 1.0 < 2 * np.log(2)
    assert float(metrics["real_accuracy"]) == float(metrics["fake_accuracy"]) == 1


def test_a_run_leaves_what_the_homework_asks_for(small_run):
    run = RunDir(small_run)
    history = run.read_history()
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert [row["step"] for row in history] == [SMALL_STEPS * epoch for epoch in (1, 2, 3)]
    with open(run.history_path, newline="") as file:
        header = next(csv.reader(file))
    for name in [*METRICS, "generator_loss_std", "discriminator_loss_std"]:
        assert name in header
        assert all(np.isfinite(row[name]) for row in history)
    for row in history:
        assert row["images_per_second"] == pytest.approx(150 / row["seconds"])
    assert list(run.sample_paths()) == [1, 2, 3]
    assert run.snapshot_epochs() == [1, 2, 3]  # as asked for, and the last
    assert run.loss_curves_path.stat().st_size > 10_000
    assert run.gif_path.stat().st_size > 1_000
    assert len(list(small_run.glob("events.out.tfevents.*"))) == 1
    assert sorted(path.name for path in run.checkpoints.glob("*.index")) == [
        "ckpt-10.index",
        "ckpt-15.index",
    ]
    assert not list(small_run.rglob("*unfinished*"))


def test_a_history_row_holds_means_over_images(tmp_path):
    """With a learning rate near 0 the networks stay at chance level, and the shares are counts."""
    choices = dict(dataset="synthetic", max_images=150, learning_rate=1e-30, epochs=1)
    (row,) = train(TrainConfig(**choices, batch_size=32, run_dir=tmp_path / "run"))
    assert row["step"] == 5
    assert row["generator_loss"] == pytest.approx(np.log(2), abs=0.1)
    assert row["discriminator_loss"] == pytest.approx(2 * np.log(2), abs=0.1)
    assert 0 < row["generator_loss_std"] < 0.1
    for share in ["real_accuracy", "fake_accuracy"]:
        assert row[share] * 150 == pytest.approx(round(row[share] * 150), abs=1e-4)


def test_the_library_does_the_same_as_the_command(small_run, tmp_path):
    config = TrainConfig(
        dataset="synthetic",
        max_images=150,
        batch_size=32,
        epochs=3,
        snapshot_epochs=[1, 2],
        run_dir=tmp_path / "run",
    )
    history = train(config)
    assert history == RunDir(tmp_path / "run").read_history()
    assert_same_outcome(tmp_path / "run", small_run)


def test_the_outcome_is_more_than_nothing(small_run):
    names = outcome(small_run)
    optimizer_slots = [name for name in names if "optimizer" in name[1]]
    dropout_seeds = [name for name in names if "dropout_seeds" in name[1]]
    assert len(optimizer_slots) > 40 and len(dropout_seeds) == 2
    assert ("epoch_0002", "fixed_noise/.ATTRIBUTES/VARIABLE_VALUE") in names


def test_a_finished_run_is_left_as_it_is_and_may_grow(tmp_path):
    choices = dict(dataset="synthetic", max_images=64, batch_size=64, run_dir=tmp_path / "run")
    train(TrainConfig(**choices, epochs=1))
    before = contents(tmp_path)
    again = train(TrainConfig(**choices, epochs=1))
    assert contents(tmp_path) == before
    assert again == RunDir(tmp_path / "run").read_history()
    assert [row["epoch"] for row in train(TrainConfig(**choices, epochs=2))] == [1, 2]
    assert RunDir(tmp_path / "run").read_config()[0].epochs == 2
    with pytest.raises(UserError, match="--epochs is 1, was 2"):
        train(TrainConfig(**choices, epochs=1))


def test_a_loss_that_is_not_finite_stops_the_run_and_is_never_saved(tmp_path):
    config = TrainConfig(
        dataset="synthetic", max_images=150, batch_size=32, learning_rate=1e30, run_dir=tmp_path
    )
    with pytest.raises(RunFailed, match=r"step \d+, in epoch 1.*--learning-rate"):
        train(config)
    run = RunDir(tmp_path)
    (kept,) = run.checkpoints.glob("ckpt-*.index")
    assert kept.name == "ckpt-0.index"
    reader = tf.train.load_checkpoint(str(kept.with_suffix("")))
    for name in reader.get_variable_to_shape_map():
        if not name.startswith("_CHECKPOINTABLE"):
            assert np.isfinite(reader.get_tensor(name)).all()
    assert run.read_history() == [] and not run.samples.exists()


def test_another_thread_count_on_resume_is_said(tmp_path):
    choices = dict(dataset="synthetic", max_images=64, batch_size=64, run_dir=tmp_path / "run")
    train(TrainConfig(**choices, epochs=1))
    run = RunDir(tmp_path / "run")
    config, there = run.read_config()
    run.write_config(config, {**there, "threads": 64})
    with pytest.warns(UserWarning, match="threads is .*, was 64"):
        train(TrainConfig(**choices, epochs=2))


def test_a_batch_larger_than_the_data_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match="--batch-size 6001 is larger"):
        train(TrainConfig(dataset="synthetic", batch_size=6001, run_dir=tmp_path / "run"))
    assert contents(tmp_path) == {}
