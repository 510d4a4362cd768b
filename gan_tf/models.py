"""The generator and the discriminator: Keras Sequential models, layer by layer."""

import tensorflow as tf
from tensorflow.keras import layers as keras_layers

from gan_tf import layers as fast_layers

# Keras's policies: weights are float32 in both, mixed_bfloat16 computes in bfloat16.
_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def make_generator(
    latent_dim: int = 100, fast: bool = True, precision: str = "float32"
) -> tf.keras.Sequential:
    """Builds the network that turns noise into images.

    Args:
      latent_dim: length of a noise vector.
      fast: take convolutions and the like from `gan_tf.layers` instead of `keras.layers`; weights
        and mathematics are the same.
      precision: "float32", or "bfloat16" for the products of the two large convolutions.

    Returns:
      A model from `[batch, latent_dim]` float32, unit Gaussian, to `[batch, 28, 28, 1]` float32 in
      [-1, 1]; 2,330,944 parameters at the default.

    Source: homework, part 2; Radford et al. 2016 for transposed convolutions with BatchNorm.
    """
    layers = fast_layers if fast else keras_layers
    policy = _POLICIES[precision]
    return tf.keras.Sequential(
        [
            layers.Input([latent_dim]),
            layers.Dense(7 * 7 * 256, use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(0.3),
            layers.Reshape([7, 7, 256]),  # [batch, 7, 7, 256]
            layers.Conv2DTranspose(128, 5, padding="same", use_bias=False, dtype=policy),
            layers.BatchNormalization(),
            layers.LeakyReLU(0.3),  # [batch, 7, 7, 128]
            layers.Conv2DTranspose(64, 5, strides=2, padding="same", use_bias=False, dtype=policy),
            layers.BatchNormalization(),
            layers.LeakyReLU(0.3),  # [batch, 14, 14, 64]
            layers.Conv2DTranspose(
                1, 5, strides=2, padding="same", use_bias=False, activation="tanh"
            ),  # [batch, 28, 28, 1]
        ],
        name="generator",
    )


def make_discriminator(fast: bool = True, precision: str = "float32") -> tf.keras.Sequential:
    """Builds the network that tells training images from generated ones.

    Args:
      fast: as for `make_generator`.
      precision: "float32", or "bfloat16" for the products of the large convolution.

    Returns:
      A model from `[batch, 28, 28, 1]` float32 in [-1, 1] to `[batch, 1]` float32 logits, positive
      for real; 212,865 parameters.

    Source: homework, part 2.
    """
    layers = fast_layers if fast else keras_layers
    return tf.keras.Sequential(
        [
            layers.Input([28, 28, 1]),
            layers.Conv2D(64, 5, strides=2, padding="same"),
            layers.LeakyReLU(0.3),
            layers.Dropout(0.3),  # [batch, 14, 14, 64]
            layers.Conv2D(128, 5, strides=2, padding="same", dtype=_POLICIES[precision]),
            layers.LeakyReLU(0.3),
            layers.Dropout(0.3),  # [batch, 7, 7, 128]
            layers.Flatten(),  # [batch, 6272]
            layers.Dense(1),
        ],
        name="discriminator",
    )
