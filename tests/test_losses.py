import math

import numpy as np
import pytest
import tensorflow as tf

from gan_tf.losses import discriminator_loss, generator_loss

CHANCE = tf.zeros([4, 1])


def softplus(x):
    return math.log1p(math.exp(x))


def test_chance_level():
    assert float(generator_loss(CHANCE)) == np.float32(math.log(2))
    assert float(discriminator_loss(CHANCE, CHANCE)) == np.float32(2 * math.log(2))


def test_the_losses_are_means_of_cross_entropies():
    real, fake = [2.0, -1.0, 0.5], [-3.0, 0.25, 1.0]
    expected_generator = sum(softplus(-logit) for logit in fake) / 3
    expected_discriminator = (
        sum(softplus(-logit) for logit in real) / 3 + sum(softplus(logit) for logit in fake) / 3
    )
    real, fake = tf.constant(real)[:, None], tf.constant(fake)[:, None]
    assert float(generator_loss(fake)) == pytest.approx(expected_generator, rel=1e-6)
    assert float(discriminator_loss(real, fake)) == pytest.approx(expected_discriminator, rel=1e-6)


def test_extreme_logits_stay_finite():
    certain = tf.constant([[1000.0]])
    assert float(discriminator_loss(certain, -certain)) == 0.0
    assert float(discriminator_loss(-certain, certain)) == 2000.0
    assert float(generator_loss(-certain)) == 1000.0


def test_the_generator_still_learns_where_the_discriminator_is_certain():
    """The non-saturating loss has slope -1 there; the zero-sum loss would have slope 0."""
    logits = tf.constant([[-50.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = generator_loss(logits)
    assert tape.gradient(loss, logits).numpy().item() == -1.0
