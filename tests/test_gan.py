import numpy as np
import pytest
import tensorflow as tf

from gan_tf import TrainConfig
from gan_tf.gan import METRICS, Gan
from gan_tf.losses import discriminator_loss, generator_loss
from gan_tf.noise import make_fixed_noise, make_noise


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(0).uniform(-1, 1, [8, 28, 28, 1]).astype(np.float32)
    return tf.constant(images), make_noise(8, 100, seed=0, index=0)


def weights(gan):
    return [v.numpy() for v in (*gan.generator.variables, *gan.discriminator.variables)]


def test_a_step_is_simultaneous_gradient_descent(batch):
    """With plain SGD, both networks move by their gradients at the initial weights."""
    images, noise = batch
    stepped = Gan(TrainConfig())
    stepped.generator_optimizer = tf.keras.optimizers.SGD(0.5)
    stepped.discriminator_optimizer = tf.keras.optimizers.SGD(0.5)
    stepped.generator_optimizer.build(stepped.generator.trainable_variables)
    stepped.discriminator_optimizer.build(stepped.discriminator.trainable_variables)
    metrics = stepped.train_step(images, noise)

    initial = Gan(TrainConfig())
    with tf.GradientTape(persistent=True) as tape:
        fake_images = initial.generator(noise, training=True)
        real_logits = initial.discriminator(images, training=True)
        fake_logits = initial.discriminator(fake_images, training=True)
        losses = generator_loss(fake_logits), discriminator_loss(real_logits, fake_logits)
    models = (initial.generator, stepped.generator), (initial.discriminator, stepped.discriminator)
    for loss, (before, after), network in zip(
        losses, models, ["generator", "discriminator"], strict=True
    ):
        gradients = tape.gradient(loss, before.trainable_variables)
        scale = max(np.abs(gradient).max() for gradient in gradients)
        for old, new, gradient in zip(
            before.trainable_variables, after.trainable_variables, gradients, strict=True
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
    assert stepped.steps_done == 1


def test_the_first_step_of_adam_is_the_learning_rate(batch):
    """Adam's first update is -rate * gradient / (|gradient| + epsilon): the rate, signed."""
    gan = Gan(TrainConfig(learning_rate=2e-4))
    initial = weights(gan)[0]  # the generator's first kernel
    np.testing.assert_array_equal(initial, weights(Gan(TrainConfig()))[0])
    gan.train_step(*batch)
    sizes = np.abs(weights(gan)[0] - initial)
    assert np.median(sizes) == pytest.approx(2e-4, rel=0.01)
    assert sizes.max() <= 2.002e-4


def test_a_gan_has_the_settings_of_its_config():
    rates = dict(learning_rate=0.25, discriminator_learning_rate=0.5, beta_1=0.75)
    gan = Gan(TrainConfig(latent_dim=7, seed=5, **rates))
    assert gan.generator.input_shape == (None, 7)
    for optimizer, rate in (gan.generator_optimizer, 0.25), (gan.discriminator_optimizer, 0.5):
        assert (float(optimizer.learning_rate.numpy()), optimizer.beta_1) == (rate, 0.75)
    np.testing.assert_array_equal(gan.fixed_noise, make_fixed_noise(7, 5))
    other = Gan(TrainConfig(latent_dim=7, seed=6))
    assert (weights(other)[0] != weights(gan)[0]).any()
    assert float(other.discriminator_optimizer.learning_rate.numpy()) == pytest.approx(1e-4)


def test_a_checkpoint_contains_the_whole_state_and_further_variables(tmp_path):
    gan = Gan(TrainConfig(latent_dim=4))
    gan.checkpoint(seconds=tf.Variable(0.0)).write(str(tmp_path / "ckpt"))
    names = [name for name, _ in tf.train.list_variables(str(tmp_path / "ckpt"))]
    # The discriminator's weights have the name of the optimizer, which TensorFlow finds first.
    assert {name.partition("/")[0] for name in names} - {"_CHECKPOINTABLE_OBJECT_GRAPH"} == {
        "generator",
        "generator_optimizer",
        "discriminator_optimizer",
        "dropout_seeds",
        "fixed_noise",
        "step",
        "seconds",
    }
    assert sum(name.startswith("dropout_seeds/") for name in names) == 2
    assert sum(name.startswith("generator_optimizer/") for name in names) > 20  # Adam's slots


def test_the_average_follows_the_generator_with_its_decay(batch):
    """After n steps the decay is min(ema_decay, (1 + n) / (10 + n)), also for statistics."""
    gan = Gan(TrainConfig(ema_decay=0.2))
    expected = [weight.numpy() for weight in gan.averaged_generator.weights]
    for step in 1, 2, 3:
        gan.train_step(*batch)
        decay = min(0.2, (1 + step) / (10 + step))
        expected = [
            decay * average + (1 - decay) * weight.numpy()
            for average, weight in zip(expected, gan.generator.weights, strict=True)
        ]
    for average, value in zip(gan.averaged_generator.weights, expected, strict=True):
        np.testing.assert_allclose(average, value, rtol=1e-5, atol=1e-6)
    assert Gan(TrainConfig()).averaged_generator is None
