"""The generator and the discriminator: Keras Sequential models, layer by layer."""

import tensorflow as tf
from tensorflow.keras.layers import (
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Dropout,
    Flatten,
    Input,
    LeakyReLU,
    Reshape,
)


def make_generator(latent_dim: int = 100) -> tf.keras.Sequential:
    """Builds the network that turns noise into images.

    Args:
      latent_dim: length of a noise vector.

    Returns:
      A model from `[batch, latent_dim]` float32, unit Gaussian, to `[batch, 28, 28, 1]` float32 in
      [-1, 1]; 2,330,944 parameters at the default.

    Source: assignment, part 2; Radford et al. 2016 for transposed convolutions with BatchNorm.
    """
    return tf.keras.Sequential(
        [
            Input([latent_dim]),
            Dense(7 * 7 * 256, use_bias=False),
            BatchNormalization(),
            LeakyReLU(0.3),
            Reshape([7, 7, 256]),  # [batch, 7, 7, 256]
            Conv2DTranspose(128, 5, padding="same", use_bias=False),
            BatchNormalization(),
            LeakyReLU(0.3),  # [batch, 7, 7, 128]
            Conv2DTranspose(64, 5, strides=2, padding="same", use_bias=False),
            BatchNormalization(),
            LeakyReLU(0.3),  # [batch, 14, 14, 64]
            Conv2DTranspose(
                1, 5, strides=2, padding="same", use_bias=False, activation="tanh"
            ),  # [batch, 28, 28, 1]
        ],
        name="generator",
    )


def make_discriminator() -> tf.keras.Sequential:
    """Builds the network that tells training images from generated ones.

    Returns:
      A model from `[batch, 28, 28, 1]` float32 in [-1, 1] to `[batch, 1]` float32 logits, positive
      for real; 212,865 parameters.

    Source: assignment, part 2.
    """
    return tf.keras.Sequential(
        [
            Input([28, 28, 1]),
            Conv2D(64, 5, strides=2, padding="same"),
            LeakyReLU(0.3),
            Dropout(0.3),  # [batch, 14, 14, 64]
            Conv2D(128, 5, strides=2, padding="same"),
            LeakyReLU(0.3),
            Dropout(0.3),  # [batch, 7, 7, 128]
            Flatten(),  # [batch, 6272]
            Dense(1),
        ],
        name="discriminator",
    )
