"""The fast layers against Keras's own, and against float64."""

import hashlib

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from gan_tf import fast_layers as layers
from gan_tf.models import make_discriminator, make_generator
from gan_tf.system import environment

CONV, TRANSPOSE = "Conv2D", "Conv2DTranspose"

# name, size, input channels, filters, kernel size, stride, batch
GENERATOR_FIRST = (TRANSPOSE, 7, 256, 128, 5, 1, 16)
DISCRIMINATOR_SECOND = (CONV, 14, 64, 128, 5, 2, 64)
FOURIER_CASES = [GENERATOR_FIRST, DISCRIMINATOR_SECOND, (CONV, 6, 80, 72, 4, 1, 33)]
SUB_PIXEL_CASES = [
    (TRANSPOSE, 14, 64, 1, 5, 2, 8),  # the generator's last
    (CONV, 28, 1, 64, 5, 2, 8),  # the discriminator's first
]


def make_pair(name, filters, kernel_size, stride, shape, **arguments):
    """A Keras layer and its fast twin with the same random weights, the bias included."""
    arguments = dict(strides=stride, padding="same") | arguments
    pair = [
        getattr(module, name)(filters, kernel_size, **arguments)
        for module in (keras.layers, layers)
    ]
    for layer in pair:
        layer.build(shape)
    random = np.random.default_rng(0)
    fan_in = np.prod(pair[0].kernel.shape) / filters
    values = [random.standard_normal(w.shape) / fan_in**0.5 for w in pair[0].weights]
    for layer in pair:
        layer.set_weights(values)
    return pair


def outputs_and_gradients(layer, inputs, output_gradients=None):
    """[outputs, d inputs, d each trainable weight] in float64, for given d outputs."""
    weights = [weight.value for weight in layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=True)
    if output_gradients is None:
        output_gradients = normal(outputs.shape, seed=1)
    gradients = tape.gradient(outputs, [inputs, *weights], tf.cast(output_gradients, outputs.dtype))
    return [np.asarray(tf.cast(x, tf.float64)) for x in [outputs, *gradients]]


def normal(shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


def largest_difference(actual, expected):
    """In units of the largest expected entry."""
    return abs(actual - expected).max() / abs(expected).max()


def rms_difference(actual, expected):
    return np.sqrt(np.mean((actual - expected) ** 2) / np.mean(expected**2))


@pytest.mark.parametrize("case", FOURIER_CASES + SUB_PIXEL_CASES, ids=str)
def test_outputs_and_gradients_are_those_of_keras_and_of_float64(case):
    name, size, channels, filters, kernel_size, stride, batch = case
    shape = (batch, size, size, channels)
    keras_layer, layer = make_pair(name, filters, kernel_size, stride, shape, activation="tanh")
    n = size if name == TRANSPOSE else size // stride
    form = layers.choose_form(batch, n, layer.kernel.shape, stride)
    assert form is (layers.fourier if case in FOURIER_CASES else layers.sub_pixel)
    exact_layer = type(keras_layer)(**keras_layer.get_config() | {"dtype": "float64"})
    exact_layer.build(shape)
    exact_layer.set_weights(keras_layer.get_weights())

    inputs = normal(shape)
    actual = outputs_and_gradients(layer, inputs)
    of_keras = outputs_and_gradients(keras_layer, inputs)
    exact = outputs_and_gradients(exact_layer, tf.cast(inputs, tf.float64))

    assert len(actual) == 4  # outputs, d inputs, d kernel, d bias
    for a, k, e in zip(actual, of_keras, exact):
        assert largest_difference(a, k) < 1e-5
        # One rounding on top, where Keras is so exact that twice nothing is nothing.
        # Newer Keras: below 2 times its own error; with TensorFlow 2.16 it was 2.3 times.
        assert rms_difference(a, e) < 3 * rms_difference(k, e) + np.finfo("float32").eps


def test_every_form_equals_the_convolution_for_random_sizes():
    """Whether or not it pays: any grid, kernel, stride and channels; the rule is not asked."""
    random = np.random.default_rng(0)
    for _ in range(15):
        n, k, stride, batch = random.integers([1, 1, 1, 1], [9, 7, 4, 4])
        kernel_shape = (k, k, *random.integers(1, 6, 2))
        fine = normal((batch, n * stride, n * stride, kernel_shape[2]), seed=2)
        coarse = normal((batch, n, n, kernel_shape[3]), seed=3)
        kernel = normal(kernel_shape, seed=4)

        def all_of(convolve, transpose):
            with tf.GradientTape(persistent=True) as tape:
                tape.watch([fine, coarse, kernel])
                down, up = convolve(fine, kernel), transpose(coarse, kernel)
            gradients = tape.gradient(down, [fine, kernel], coarse)
            return [down, up, *gradients, *tape.gradient(up, [coarse, kernel], fine)]

        expected = all_of(
            lambda x, w: tf.nn.conv2d(x, w, stride, "SAME"),
            lambda x, w: tf.nn.conv2d_transpose(x, w, fine.shape, stride, "SAME"),
        )
        for form in [layers.fourier, layers.sub_pixel][: 2 if stride > 1 else 1]:
            actual = all_of(
                lambda x, w: form(x, w, stride, False), lambda x, w: form(x, w, stride, True)
            )
            for a, e in zip(actual, expected, strict=True):
                assert a.shape == e.shape
                # Single sums may cancel, so in units of one product.
                limit = 1e-5 * max(1, abs(e.numpy()).max())
                assert abs(a - e).numpy().max() < limit, (form, n, kernel_shape, stride)


@pytest.mark.parametrize(
    ("n", "kernel_shape", "stride", "fourier_from"),
    [
        (7, (5, 5, 128, 256), 1, 9),  # generator, first
        (7, (5, 5, 64, 128), 2, 60),  # generator, second, and discriminator, second
        (32, (5, 5, 64, 128), 1, None),  # a big grid
        (7, (1, 1, 128, 256), 1, None),
        (7, (5, 5, 4, 4), 1, None),
    ],
)
def test_the_rule_takes_the_fourier_form_from_a_batch_on(n, kernel_shape, stride, fourier_from):
    forms = [layers.choose_form(batch, n, kernel_shape, stride) for batch in (None, *range(1, 513))]
    others = fourier_from or 513
    assert forms == [None] * others + [layers.fourier] * (513 - others)


@pytest.mark.parametrize(
    ("name", "shape", "change"),
    [
        (CONV, (32, 6, 6, 64), dict(padding="valid")),
        (CONV, (32, 6, 6, 64), dict(dilation_rate=2)),
        (CONV, (32, 6, 6, 64), dict(groups=2)),
        (CONV, (32, 6, 6, 64), dict(kernel_size=(5, 3))),
        (CONV, (96, 12, 12, 64), dict(strides=(2, 1))),
        (CONV, (128, 11, 11, 64), dict(strides=2)),
        (CONV, (32, 6, 5, 64), {}),
        (CONV, (32, 6, 6, 64), dict(dtype="float64")),
        (TRANSPOSE, (96, 6, 6, 64), dict(strides=2, output_padding=1)),
    ],
    ids=str,
)
def test_elsewhere_it_is_the_keras_layer_bit_by_bit(name, shape, change):
    """Each would be in the Fourier form, whose last bits differ, but for one thing."""
    arguments = dict(kernel_size=5, stride=1) | change
    keras_layer, layer = make_pair(name, 64, shape=shape, **arguments)
    np.testing.assert_array_equal(layer(normal(shape)), keras_layer(normal(shape)))


@pytest.mark.parametrize("case", [GENERATOR_FIRST, DISCRIMINATOR_SECOND], ids=str)
def test_bfloat16_products(case):
    name, size, channels, filters, kernel_size, stride, batch = case
    shape = (batch, size, size, channels)
    exact_layer, _ = make_pair(name, filters, kernel_size, stride, shape)
    _, layer = make_pair(name, filters, kernel_size, stride, shape, dtype="mixed_bfloat16")
    assert layer(normal(shape)).dtype == tf.bfloat16
    assert [w.dtype for w in layer.weights] == ["float32", "float32"]

    # Values that bfloat16 holds exactly, so that only the layer's own arithmetic differs.
    inputs = tf.cast(tf.cast(normal(shape), tf.bfloat16), tf.float32)
    gradients = tf.cast(normal(exact_layer(inputs).shape, seed=1), tf.bfloat16)
    exact = outputs_and_gradients(exact_layer, inputs, gradients)
    actual = outputs_and_gradients(layer, inputs, gradients)
    # Without instructions for bfloat16 TensorFlow rounds more often; Keras's layer is then off by
    # up to 0.16.
    native = environment.processor_features() & environment.BFLOAT16
    limit = 0.01 if native else 0.02
    for a, e in zip(actual, exact):
        assert largest_difference(a, e) < limit
        assert rms_difference(a, e) < limit
    assert rms_difference(actual[0], exact[0]) > 1e-4  # not float32 in disguise


@pytest.mark.parametrize("name", [CONV, TRANSPOSE])
@pytest.mark.parametrize("filters, stride", [(64, 1), (3, 2)])
def test_second_order_gradients_are_right_too(name, filters, stride):
    """As a gradient penalty takes them, in the Fourier and the sub-pixel form."""
    shape = (17, 4, 4, 96) if stride == 1 or name == TRANSPOSE else (17, 8, 8, 3)
    pair = make_pair(name, filters, 5, stride, shape)
    found = []
    for layer in pair:
        inputs = normal(shape)
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                outputs = tf.reduce_sum(layer(inputs) ** 2)
            penalty = tf.reduce_sum(inner.gradient(outputs, inputs) ** 2)
        found.append(outer.gradient(penalty, layer.kernel.value).numpy())
    assert 0 < largest_difference(*found) < 1e-4


@pytest.mark.parametrize("shape", [(16, 4, 4, 24), (32, 40), (1, 8)], ids=str)
def test_batch_normalization_is_that_of_keras(shape):
    keras_layer, layer = keras.layers.BatchNormalization(), layers.BatchNormalization()
    inputs = 3.0 * normal(shape) + 20.0
    for each in keras_layer, layer:
        each.build(shape)
        each.gamma.assign(np.linspace(0.5, 2, shape[-1]))
        each.beta.assign(np.linspace(-1, 1, shape[-1]))
    for _ in range(3):  # the moving averages too
        expected = outputs_and_gradients(keras_layer, inputs)
        actual = outputs_and_gradients(layer, inputs)
    for a, e in zip(actual, expected):
        # Mean 20 and standard deviation 3 cost both about one digit of seven.
        np.testing.assert_allclose(a, e, atol=1e-4 * max(1e-3, abs(e).max()))
    for a, e in zip(layer.non_trainable_variables, keras_layer.non_trainable_variables):
        np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer(inputs), keras_layer(inputs), rtol=1e-5)  # inference


@pytest.mark.parametrize(
    "name, arguments",
    [
        *[("BatchNormalization", {name: False}) for name in ("scale", "center", "trainable")],
        ("BatchNormalization", dict(axis=1)),
        ("Dropout", dict(rate=0.3, noise_shape=(None, 1, 1, 1), seed=1)),
        ("Dropout", dict(rate=0.0)),
    ],
)
def test_with_other_settings_it_is_the_keras_layer(name, arguments):
    inputs = normal((8, 6, 6, 6))
    expected = getattr(keras.layers, name)(**arguments)(inputs, training=True)
    actual = getattr(layers, name)(**arguments)(inputs, training=True)
    np.testing.assert_array_equal(actual, expected)


def mask(shape, state):
    return layers.dropout_mask(tf.constant(shape), 0.3, tf.constant(state, tf.int64)).numpy()


def test_a_dropout_mask_has_the_same_bits_everywhere():
    """Integers alone decide, so they are those of the first release on every machine."""
    bits = np.packbits(mask([30, 7, 5], [5, 11]) > 0)
    assert hashlib.sha256(bits).hexdigest().startswith("fa9e5080121be435")


def test_dropout_keeps_its_share_and_its_masks_are_independent():
    n = 2**20
    bound = 5 / np.sqrt(n)  # five standard deviations of a correlation, and of a mean
    first, *others = (
        mask([n], state) for state in ([1, 0], [1, 1], [1, 2], [2, 0], [0, 1], [1, 2**32])
    )
    assert {*np.unique(first)} == {np.float32(0), np.float32(1 / 0.7)}
    standard = [(each - 1) / np.sqrt(0.3 / 0.7) for each in (first, *others)]
    for each in standard:
        assert abs(np.mean(each)) < bound
    for each in standard[1:]:
        assert abs(np.mean(standard[0] * each)) < bound
    for lag in (1, 2, 7, 64, 128, 14 * 64, 14 * 14 * 64, 65536):
        assert abs(np.mean(standard[0][lag:] * standard[0][:-lag])) < bound
    shares = first.reshape(1024, 1024).mean(axis=0)  # per unit, over the batch
    assert shares.std() == pytest.approx(np.sqrt(0.3 / 0.7 / 1024), rel=0.1)


def test_dropout_depends_on_its_seed_state_only_which_advances_as_in_keras():
    inputs = normal((8, 5, 5, 3))
    eager, compiled = layers.Dropout(0.3, seed=4), layers.Dropout(0.3, seed=4)
    reference = keras.layers.Dropout(0.3, seed=4)
    step = tf.function(lambda x: compiled(x, training=True))
    for _ in range(3):
        expected = inputs * mask(inputs.shape, eager.seed_generator.state.numpy())
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = eager(inputs, training=True)
        np.testing.assert_array_equal(outputs, expected)
        np.testing.assert_array_equal(tape.gradient(outputs, inputs) * inputs, expected)
        np.testing.assert_array_equal(step(inputs), expected)
        reference(inputs, training=True)
        np.testing.assert_array_equal(eager(inputs), inputs)  # inference
        for layer in eager, compiled:
            state = layer.seed_generator.state
            np.testing.assert_array_equal(state, reference.seed_generator.state)


def test_a_converted_network_has_the_same_variables_and_agrees():
    """Each way of computing, Dropout's seeds included; the network itself stays as it is."""
    keras.utils.set_random_seed(0)
    networks = make_generator(), make_discriminator()
    noise = normal([16, 100])
    networks[0](noise, training=True)  # moves the moving averages
    networks[1](networks[0](noise), training=True)  # and the seeds
    images = networks[0](noise)
    logits = networks[1](images)
    for fast, precision, tolerance in [
        (True, "float32", 1e-5),
        (False, "float32", 0),
        (False, "bfloat16", 5e-2),
        (True, "bfloat16", 5e-2),
    ]:
        generator, discriminator = (layers.convert(each, fast, precision) for each in networks)
        for model, other in zip((generator, discriminator), networks):
            for variable, original in zip(model.variables, other.variables, strict=True):
                assert variable is not original and variable.dtype == original.dtype
                np.testing.assert_array_equal(variable, original)
            ours = {
                type(layer) for layer in model.layers if type(layer).__module__ == layers.__name__
            }
            assert len(ours) == 2 * fast, ours
            in_bfloat16 = [layer.name for layer in model.layers if layer.compute_dtype != "float32"]
            assert len(in_bfloat16) == (precision == "bfloat16") * (
                2 if other is networks[0] else 1
            )
        for found, expected in (generator(noise), images), (discriminator(images), logits):
            assert found.dtype == tf.float32
            np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # in Keras's own saving
def test_a_model_trains_by_fit_and_its_weights_move_to_keras_and_to_files(tmp_path):
    fast, plain = (
        keras.Sequential(
            [
                keras.Input((12, 12, 1)),
                module.Conv2D(32, 5, strides=2, padding="same"),
                module.BatchNormalization(),
                module.Dropout(0.3, seed=1),
                module.Conv2D(32, 5, padding="same"),
                module.Conv2DTranspose(1, 4, strides=2, padding="same"),
            ]
        )
        for module in (layers, keras.layers)
    )
    fast.compile(optimizer=keras.optimizers.Adam(1e-2), loss="mse")
    inputs = normal((100, 12, 12, 1))  # batches of 32, 32, 32 and 4
    losses = fast.fit(inputs, inputs, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]
    path = tf.train.Checkpoint(model=fast).write(str(tmp_path / "checkpoint"))
    status = tf.train.Checkpoint(model=plain).read(path).expect_partial()  # without the optimizer
    status.assert_existing_objects_matched()
    assert largest_difference(plain(inputs).numpy(), fast(inputs).numpy()) < 1e-5
    fast.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[0]) is layers.Conv2D
    np.testing.assert_array_equal(loaded(inputs), fast(inputs))
