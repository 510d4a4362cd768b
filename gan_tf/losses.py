"""The two losses of the minimax game, on logits."""

import tensorflow as tf


def discriminator_loss(real_logits, fake_logits):
    """Cross-entropy of calling real images real and fake images fake.

    Args:
      real_logits: `[batch, 1]` float32, the discriminator's logits for training images.
      fake_logits: `[batch, 1]` float32, its logits for generated images.

    Returns:
      Scalar float32, nats: the sum of the two means over the batch. At chance level, logits of 0,
      it is 2 ln 2 = 1.386.

    Source: Goodfellow et al. 2014, equation 1, negated.
    """
    return _cross_entropy(1.0, real_logits) + _cross_entropy(0.0, fake_logits)


def generator_loss(fake_logits):
    """Cross-entropy of having fake images called real.

    Args:
      fake_logits: `[batch, 1]` float32, the discriminator's logits for generated images.

    Returns:
      Scalar float32, nats, mean over the batch. At chance level it is ln 2 = 0.693.

    Source: Goodfellow et al. 2014, section 3: the non-saturating form, maximise log D(G(z)), which
    departs from the zero-sum game to keep the gradient strong where the discriminator wins.
    """
    return _cross_entropy(1.0, fake_logits)


def _cross_entropy(label, logits):
    labels = tf.fill(tf.shape(logits), label)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits))
