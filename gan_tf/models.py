"""The generator and the discriminator: Keras Sequential models, layer by layer."""

import contextlib

import tensorflow as tf
from tensorflow.keras.layers import Dense, Flatten, Input, LeakyReLU, Reshape

# Keras's policies: weights are float32 in both, mixed_bfloat16 computes in bfloat16.
_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


@contextlib.contextmanager
def _in_float32():
    """Builds layers in float32, whatever policy a user's own program has set for its models."""
    policy = tf.keras.config.dtype_policy()
    tf.keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        tf.keras.config.set_dtype_policy(policy)


@_in_float32()
def make_generator(
    latent_dim: int = 100, fast: bool = True, precision: str = "float32"
) -> tf.keras.Sequential:
    """Builds the network that turns noise into images.

    Args:
      latent_dim: length of a noise vector.
      fast: take convolutions and the like from `gan_tf.fast_layers` instead of `keras.layers`;
        weights and mathematics are the same.
      precision: "float32", or "bfloat16" for the products of the two large convolutions.

    Returns:
      A model from `[batch, latent_dim]` float32, unit Gaussian, to `[batch, 28, 28, 1]` float32 in
      [-1, 1]; 2,330,944 parameters at the default.

    Source: homework, part 2; Radford et al. 2016 for transposed convolutions with BatchNorm.
    """
    if fast:
        from gan_tf.fast_layers import BatchNormalization, Conv2DTranspose
    else:
        from tensorflow.keras.layers import BatchNormalization, Conv2DTranspose
    policy = _POLICIES[precision]
    return tf.keras.Sequential(
        [
            Input([latent_dim]),
            Dense(7 * 7 * 256, use_bias=False),
            BatchNormalization(),
            LeakyReLU(0.3),
            Reshape([7, 7, 256]),  # [batch, 7, 7, 256]
            Conv2DTranspose(128, 5, padding="same", use_bias=False, dtype=policy),
            BatchNormalization(),
            LeakyReLU(0.3),  # [batch, 7, 7, 128]
            Conv2DTranspose(64, 5, strides=2, padding="same", use_bias=False, dtype=policy),
            BatchNormalization(),
            LeakyReLU(0.3),  # [batch, 14, 14, 64]
            Conv2DTranspose(
                1, 5, strides=2, padding="same", use_bias=False, activation="tanh"
            ),  # [batch, 28, 28, 1]
        ],
        name="generator",
    )


@_in_float32()
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
    if fast:
        from gan_tf.fast_layers import Conv2D, Dropout
    else:
        from tensorflow.keras.layers import Conv2D, Dropout
    policy = _POLICIES[precision]
    return tf.keras.Sequential(
        [
            Input([28, 28, 1]),
            Conv2D(64, 5, strides=2, padding="same"),
            LeakyReLU(0.3),
            Dropout(0.3),  # [batch, 14, 14, 64]
            Conv2D(128, 5, strides=2, padding="same", dtype=policy),
            LeakyReLU(0.3),
            Dropout(0.3),  # [batch, 7, 7, 128]
            Flatten(),  # [batch, 6272]
            Dense(1),
        ],
        name="discriminator",
    )
