"""Shifts and cuts out parts of the images that a discriminator sees, differentiably."""

import tensorflow as tf

_SHIFT = 1 / 8  # of the side, at most, in each direction; as in the paper
_CUT_OUT = 1 / 2  # side of the square, of the image's side


def shift_and_cut_out(images, seed: int, index) -> tf.Tensor:
    """Moves each image by some pixels, then sets a square of it to 0, each drawn at random.

    Used on training images and generated ones alike, it keeps a discriminator from learning a small
    data set by heart, and the generator still learns the images as they are.

    Args:
      images: `[batch, height, width, 1]` float32 in [-1, 1].
      seed: seed of the run.
      index: scalar int64, which draw it is; the draws are a pure function of both.

    Returns:
      `[batch, height, width, 1]` float32 in [-1, 1]; pixels that come in at an edge are 0.

    Source: Zhao et al. 2020, "Differentiable augmentation for data-efficient GAN training",
    policies translation and cutout.
    """
    shape = tf.shape(images)
    batch, side = shape[0], images.shape[1]
    key = tf.stack([tf.constant(seed, tf.int64), index])
    reach = round(side * _SHIFT)
    cut = round(side * _CUT_OUT)
    # One draw for all: [batch] rows and columns of the shift, and of the square's centre.
    uniform = tf.random.stateless_uniform([4, batch], key, alg="philox")
    shift = tf.cast(tf.floor(uniform[:2] * (2 * reach + 1)), tf.int32) - reach
    centre = tf.cast(tf.floor(uniform[2:] * (side + 1 - cut % 2)), tf.int32)

    place = tf.range(side)
    rows, columns = (place[None] - shift[axis][:, None] for axis in (0, 1))  # [batch, side]
    inside = [(at >= 0) & (at < side) for at in (rows, columns)]
    shifted = tf.gather(images, tf.clip_by_value(rows, 0, side - 1), axis=1, batch_dims=1)
    shifted = tf.gather(shifted, tf.clip_by_value(columns, 0, side - 1), axis=2, batch_dims=1)
    cut_rows, cut_columns = (
        (place[None] >= centre[axis][:, None] - cut // 2)
        & (place[None] < centre[axis][:, None] - cut // 2 + cut)
        for axis in (0, 1)
    )
    kept = (
        inside[0][:, :, None] & inside[1][:, None] & ~(cut_rows[:, :, None] & cut_columns[:, None])
    )
    return shifted * tf.cast(kept, images.dtype)[..., None]
