import numpy as np
import pytest
import tensorflow as tf

from gan_tf.losses import discriminator_loss, generator_loss


def test_the_losses_are_means_of_cross_entropies():
    real, fake = np.float32([[2], [-1], [0.5]]), np.float32([[-3], [0.25], [1]])
    # ln(1 + e^x) is the cross-entropy of a logit -x for a real image, or x for a fake one.
    of_generator = np.logaddexp(0, -fake).mean()
    of_discriminator = np.logaddexp(0, -real).mean() + np.logaddexp(0, fake).mean()
    assert float(generator_loss(fake)) == pytest.approx(of_generator, rel=1e-6)
    assert float(discriminator_loss(real, fake)) == pytest.approx(of_discriminator, rel=1e-6)
    undecided = tf.zeros([4, 1])
    assert float(generator_loss(undecided)) == np.float32(np.log(2))
    assert float(discriminator_loss(undecided, undecided)) == np.float32(2 * np.log(2))


def test_extreme_logits_stay_finite():
    certain = tf.constant([[1000.0]])
    assert float(discriminator_loss(certain, -certain)) == 0.0
    assert float(discriminator_loss(-certain, certain)) == 2000.0
    assert float(generator_loss(-certain)) == 1000.0


def test_the_generator_still_learns_if_the_discriminator_is_certain():
    """The non-saturating loss has slope -1 there; the zero-sum loss would have slope 0."""
    logits = tf.constant([[-50.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = generator_loss(logits)
    assert tape.gradient(loss, logits).numpy().item() == -1.0
