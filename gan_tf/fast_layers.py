"""Faster layers with the same weights and the same mathematics.

`convert` makes a model of them out of one of Keras's layers. They have the constructor, weights and
checkpoints of the Keras layers that they are named after, and the same result up to float32
rounding (`Dropout`: other random numbers, same distribution). Each is computed the fast way where a
rule on static shapes says that this pays, and as in Keras everywhere else.

Both convolutions, and the gradients of both, come from one form that is linear in each of its three
arguments,

    L(fine, kernel, coarse) = sum over i, t of coarse[i] fine[stride * i + t - pad] kernel[t],

    fine    [batch, stride * n, stride * n, fine_channels]
    kernel  [k, k, fine_channels, coarse_channels]
    coarse  [batch, n, n, coarse_channels]

with positions i and taps t in two dimensions, and channels summed over as in a matrix product.
Conv2D is dL/dcoarse, Conv2DTranspose dL/dfine, the gradient of either kernel dL/dkernel. `fourier`
and `sub_pixel` are two ways of computing them; docs/speed.md derives why `fourier` multiplies less
often.
"""

import functools

import numpy as np
import tensorflow as tf

# Measured on two Zen 4 cores in float32, layer by layer, forward and both gradients, at batches of
# 8 to 128. A direct multiplication of TensorFlow's convolutions takes less time than one of ours:
_DIRECT_ADVANTAGE = 1.5
# A number that is moved through memory takes the time of so many multiplications:
_MEMORY_COST = 140
# Up to so many phases and channels the sub-pixel form wins: one vector register of float32.
_NARROW = 16
_DTYPES = (tf.float32, tf.bfloat16)
# The settings of convolutions and BatchNormalization that are computed here; not every layer, or
# version of Keras, has each of them.
_COMPUTED = {
    "padding": "same",
    "data_format": "channels_last",
    "dilation_rate": (1, 1),
    "groups": 1,
    "output_padding": None,
}
_FUSED = {"axis": -1, "scale": True, "center": True, "synchronized": False, "renorm": False}


def convert(model: tf.keras.Sequential, fast: bool = True, precision: str = "float32"):
    """Returns a model of the same layers and variables that is computed in another way.

    Args:
      model: made of Keras's own layers, and built.
      fast: take the layers of this file where there is one.
      precision: "float32", or "bfloat16" for the products of convolutions that have several
        channels on both sides; weights and all else stay in float32.
    """

    def convert_layer(layer):
        kind = _FAST.get(type(layer), type(layer)) if fast else type(layer)
        policy = layer.dtype_policy
        is_convolution = hasattr(layer, "kernel_size")
        if precision == "bfloat16" and is_convolution and min(layer.kernel.shape[2:]) > 1:
            policy = "mixed_bfloat16"
        return kind(**layer.get_config() | {"dtype": policy})

    return clone(model, convert_layer)


def clone(model: tf.keras.Sequential, convert_layer) -> tf.keras.Sequential:
    """Returns a model with each layer made anew by a function, and with a copy of each variable.

    Dropout's seeds are among the variables.
    """
    copy = tf.keras.models.clone_model(model, clone_function=convert_layer)
    for variable, original in zip(copy.variables, model.variables, strict=True):
        variable.assign(original)
    return copy


class _Convolution:
    """The call of both convolutions, in a faster form where `choose_form` knows one."""

    transposed = False

    def call(self, inputs):
        form = self._form(inputs)
        if form is None:
            return super().call(inputs)
        kernel = tf.convert_to_tensor(self.kernel)
        outputs = form(inputs, kernel, self.strides[0], self.transposed)
        if self.use_bias:
            # In float32: TensorFlow sums a bias's bfloat16 gradient with errors of up to 16 %.
            bias = tf.cast(tf.convert_to_tensor(self.bias), tf.float32)
            outputs = tf.nn.bias_add(tf.cast(outputs, tf.float32), bias)
        return self.activation(tf.cast(outputs, self.compute_dtype))

    def _form(self, inputs):
        """Returns the function that computes the outputs, or None where Keras's layer does."""
        stride, size = self.strides[0], inputs.shape[1]
        supported = (
            _has(self, _COMPUTED)
            and inputs.dtype in _DTYPES
            and self.strides == (stride, stride)
            and self.kernel_size[0] == self.kernel_size[1]
            and size is not None
            and size == inputs.shape[2]
            and (self.transposed or size % stride == 0)
            and not tf.config.get_visible_devices("GPU")
        )
        if not supported:
            return None
        n = size if self.transposed else size // stride
        return choose_form(inputs.shape[0], n, self.kernel.shape, stride)


@tf.keras.utils.register_keras_serializable("gan_tf")
class Conv2D(_Convolution, tf.keras.layers.Conv2D):
    """`keras.layers.Conv2D`, faster."""


@tf.keras.utils.register_keras_serializable("gan_tf")
class Conv2DTranspose(_Convolution, tf.keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose`, faster."""

    transposed = True


@tf.keras.utils.register_keras_serializable("gan_tf")
class BatchNormalization(tf.keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization`, in training by TensorFlow's fused op.

    With other settings than `_FUSED`, and in inference, it is the Keras layer.
    """

    def call(self, inputs, training=None):
        if not (training and self.trainable and _has(self, _FUSED) and inputs.dtype in _DTYPES):
            return super().call(inputs, training=training)
        rows = tf.reshape(tf.cast(inputs, tf.float32), [-1, 1, 1, inputs.shape[-1]])
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=rows,
            scale=self.gamma,
            offset=self.beta,
            mean=[],
            variance=[],
            epsilon=self.epsilon,
        )
        # The op divides by count - 1, Keras by count.
        count = tf.cast(tf.shape(rows)[0], tf.float32)
        variance *= (count - 1) / count
        for moving, batch in (self.moving_mean, mean), (self.moving_variance, variance):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return tf.cast(tf.reshape(outputs, tf.shape(inputs)), self.compute_dtype)


@tf.keras.utils.register_keras_serializable("gan_tf")
class Dropout(tf.keras.layers.Dropout):
    """`keras.layers.Dropout` with a mask that takes less time to compute.

    The mask is a pure function of its shape, the rate and the state of `seed_generator`, which
    is increased by one at each call in training, as in Keras.
    """

    def call(self, inputs, training=False):
        if not training or self.rate in (0, 1) or self.noise_shape is not None:
            return super().call(inputs, training=training)
        mask = dropout_mask(tf.shape(inputs), self.rate, self.seed_generator.next())
        return inputs * tf.cast(mask, inputs.dtype)


_FAST = {
    tf.keras.layers.Conv2D: Conv2D,
    tf.keras.layers.Conv2DTranspose: Conv2DTranspose,
    tf.keras.layers.BatchNormalization: BatchNormalization,
    tf.keras.layers.Dropout: Dropout,
}


@tf.function(jit_compile=True)  # one loop over memory; as separate ops it takes four times as long
def dropout_mask(shape, rate, state):
    """Returns independent elements: 1 / (1 - rate) with probability 1 - rate, otherwise 0.

    Args:
      shape: [rank] int32.
      rate: Python float, above 0 and below 1; met to within 2**-32.
      state: [2] int64, the state of a `keras.random.SeedGenerator`.

    Returns:
      `shape` float32. Integer arithmetic alone decides each element, so that it does not depend on
      threads or devices.
    """
    return tf.reshape(mask_at(tf.range(tf.reduce_prod(shape)), rate, state), shape)


def mask_at(positions, rate, state):
    """Returns single elements of a `dropout_mask`, by their int32 positions as in one long row."""

    def scramble(x):
        # Multiply and xor-shift: a bijection of 32-bit words in which every input bit changes
        # every output bit with probability close to 1/2 (the constants are known as lowbias32).
        x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, 16)) * 0x7FEB352D
        x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, 15)) * 0x846CA68B
        return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, 16))

    key = tf.random.stateless_uniform([2], state, None, None, tf.uint32, alg="philox")
    index = tf.bitcast(positions, tf.uint32)
    bits = scramble(tf.bitwise.bitwise_xor(scramble(index + key[0]), key[1]))
    keep = bits >= round(rate * 2**32)
    return tf.where(keep, 1.0 / (1.0 - rate), 0.0)


def fourier(images, kernel, stride, transposed):
    """Computes a convolution by F products of channel matrices, one per real product of the DFT.

    Args:
      images: `fine`, or `coarse` if `transposed`.
      kernel: `[k, k, fine_channels, coarse_channels]`.
      stride: fine positions per coarse position, along either axis.
      transposed: whether to return dL/dfine instead of dL/dcoarse.
    """
    k, _, fine_channels, coarse_channels = kernel.shape
    n = images.shape[1] if transposed else images.shape[1] // stride
    T_fine, T_kernel, T_coarse = fourier_matrices(n, k, stride)
    shape = [len(T_fine), stride**2 * fine_channels, coarse_channels]
    kernel = tf.reshape(_multiply(T_kernel, kernel), shape)
    if transposed:
        products = tf.matmul(_transform(T_coarse, images, n, 1), kernel, transpose_b=True)
        return _transform_back(T_fine, products, n, stride)
    products = tf.matmul(_transform(T_fine, images, n, stride), kernel)
    return _transform_back(T_coarse, products, n, 1)


def _transform(matrix, images, n, stride):
    """Maps [batch, stride * n, stride * n, channels] to [F, batch, stride**2 * channels]."""
    channels = images.shape[-1]
    x = tf.reshape(images, [-1, n, stride, n, stride * channels])
    x = tf.transpose(x, [1, 3, 0, 2, 4])  # [n, n, batch, stride, stride * channels]
    return tf.reshape(_multiply(matrix, x), [len(matrix), -1, stride**2 * channels])


def _transform_back(matrix, x, n, stride):
    """Maps [F, batch, stride**2 * channels] to images: the transposed map."""
    channels = x.shape[-1] // stride**2
    x = tf.reshape(_multiply(matrix.T, x), [n, n, -1, stride, stride * channels])
    x = tf.transpose(x, [2, 0, 3, 1, 4])  # [batch, n, stride, n, stride * channels]
    return tf.reshape(x, [-1, n * stride, n * stride, channels])


def _multiply(matrix, x):
    """Multiplies the constant matrix [rows, columns] by x as [columns, everything else]."""

    @tf.custom_gradient  # TensorFlow's own would transpose the matrix again in every step
    def multiply(x):
        return tf.matmul(tf.constant(matrix, x.dtype), x), lambda d: _multiply(matrix.T, d)

    return multiply(tf.reshape(x, [matrix.shape[1], -1]))


def sub_pixel(images, kernel, stride, transposed):
    """Computes a convolution in TensorFlow's own ops, except for dL/dfine.

    That is slow for few fine channels. Here it is a convolution with stride 1 on the coarse grid to
    stride**2 times the fine channels, one set for each phase, and depth-to-space.

    Args:
      images, kernel, stride, transposed: as for `fourier`.
    """

    def d_coarse(fine, kernel):
        return tf.nn.conv2d(fine, kernel, stride, "SAME")

    def d_fine(coarse, kernel):
        k, _, _, coarse_channels = kernel.shape
        offsets, taps = _taps(k, stride)
        reach = max(abs(offsets))
        window = np.zeros([2 * reach + 1, stride, k])
        window[reach - offsets] = taps  # fine position j meets coarse position j - m
        spread = np.einsum("mrt,lqs->mlrqts", window, window).reshape(-1, k * k)
        x = _multiply(spread, kernel)
        x = tf.reshape(x, [len(window), len(window), -1, coarse_channels])
        x = tf.transpose(x, [0, 1, 3, 2])  # [w, w, coarse_channels, stride**2 * fine_channels]
        x = tf.nn.conv2d(coarse, x, 1, "SAME")  # [batch, n, n, stride**2 * fine_channels]
        return tf.nn.depth_to_space(x, stride)

    forward, backward = (d_fine, d_coarse) if transposed else (d_coarse, d_fine)

    @tf.custom_gradient
    def convolve(images, kernel):
        def gradients(d_outputs):
            fine, coarse = (d_outputs, images) if transposed else (images, d_outputs)
            d_kernel = tf.raw_ops.Conv2DBackpropFilter(
                input=fine,
                filter_sizes=tuple(kernel.shape),
                out_backprop=coarse,
                strides=[1, stride, stride, 1],
                padding="SAME",
            )
            return backward(d_outputs, kernel), d_kernel

        return forward(images, kernel), gradients

    return convolve(images, kernel)


def _has(layer, settings):
    return all(getattr(layer, name, value) == value for name, value in settings.items())


def choose_form(batch, n, kernel_shape, stride):
    """Returns the faster form of a convolution with "same" padding, or None.

    The choice depends on these numbers alone, never on a measurement.

    Args:
      batch: images per call, or None if not known.
      n: positions per side of the coarse grid.
      kernel_shape: (k, k, fine_channels, coarse_channels).
      stride: fine positions per coarse position, along either axis.
    """
    k, _, fine_channels, coarse_channels = kernel_shape
    if stride > 1 and stride**2 * fine_channels <= _NARROW:
        return sub_pixel
    if batch is None:
        return None
    period = n + max(abs(_taps(k, stride)[0]))
    real = 1 if period % 2 else 4  # frequencies that are their own complex conjugate
    F = real + 3 * (period**2 - real) // 2
    # Multiplications for the output and both gradients.
    channel_pairs = stride**2 * fine_channels * coarse_channels
    direct = 3 * batch * (n * k) ** 2 * fine_channels * coarse_channels
    products = 3 * batch * F * channel_pairs
    transforms = 2 * batch * F * n**2 * (stride**2 * fine_channels + coarse_channels)
    # The two large arrays [F, stride**2 * fine_channels, coarse_channels], kernel and gradient,
    # do not shrink with the batch.
    large_arrays = _MEMORY_COST * F * channel_pairs
    if direct > _DIRECT_ADVANTAGE * (products + transforms + large_arrays):
        return fourier
    return None


@functools.cache
def fourier_matrices(n, k, stride):
    """Returns float64 T_fine [F, n**2], T_kernel [F * stride**2, k**2] and T_coarse [F, n**2]."""
    offsets, taps = _taps(k, stride)
    period = n + max(abs(offsets))
    angle = 2j * np.pi / period * np.arange(period)
    wave = np.exp(np.outer(-angle, np.arange(n)))  # [N, n]
    kernel_wave = np.einsum("um,mrt->urt", np.exp(np.outer(angle, offsets)), taps)  # [N, stride, k]

    T_fine, T_kernel, T_coarse = [], [], []
    for u in range(period):
        for v in range(period):
            conjugate = (-u % period, -v % period)
            if (u, v) > conjugate:
                continue
            fine = np.outer(wave[u], wave[v]).ravel()  # [n**2]
            kernel = np.einsum("rt,qs->rqts", kernel_wave[u], kernel_wave[v])
            kernel = kernel.reshape(stride**2, k**2)
            coarse = fine.conj() / period**2  # the inverse DFT
            if (u, v) == conjugate:
                T_fine += [fine.real]
                T_kernel += [kernel.real]
                T_coarse += [coarse.real]
            else:
                coarse = 2 * coarse  # both frequencies: 2 Re(fine kernel coarse)
                T_fine += [fine.real + fine.imag, fine.real, fine.imag]
                T_kernel += [kernel.real, kernel.imag - kernel.real, kernel.real + kernel.imag]
                T_coarse += [coarse.real - coarse.imag, -coarse.imag, -coarse.real]
    return np.stack(T_fine), np.concatenate(T_kernel), np.stack(T_coarse)


def _taps(k, stride):
    """Returns which tap takes which phase of the fine grid to which offset, along one axis.

    Returns:
      The offsets m that occur, [M], and a 0/1 array [M, stride, k] that is 1 at (m, r, t) where
      t = stride * m + r + pad.
    """
    pad = max(k - stride, 0) // 2  # as TensorFlow pads
    offsets = np.arange(-k, k + 1)
    m, r, t = np.ix_(offsets, np.arange(stride), np.arange(k))
    taps = (t == stride * m + r + pad).astype(float)
    used = taps.any(axis=(1, 2))
    return offsets[used], taps[used]
