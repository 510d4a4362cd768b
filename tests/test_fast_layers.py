"""The fast layers against Keras's own, against float64, and on their own terms."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from gan_tf import fast_layers as layers
from gan_tf.models import make_discriminator, make_generator
from gan_tf.system import environment

CONV, TRANSPOSE = "Conv2D", "Conv2DTranspose"

# name, size, input channels, filters, kernel size, stride, batch: all that is fast
FOURIER_CASES = [
    (TRANSPOSE, 7, 256, 128, 5, 1, 16),  # the generator's
    (TRANSPOSE, 7, 128, 64, 5, 2, 64),
    (CONV, 14, 64, 128, 5, 2, 64),  # the discriminator's
    (CONV, 4, 128, 96, 5, 1, 17),
    (CONV, 6, 80, 72, 4, 1, 33),
    (TRANSPOSE, 9, 64, 96, 3, 1, 56),
    (CONV, 8, 64, 48, 6, 2, 40),
]
SUB_PIXEL_CASES = [
    (TRANSPOSE, 14, 64, 1, 5, 2, 8),  # the generator's last
    (CONV, 28, 1, 64, 5, 2, 8),  # the discriminator's first
    (TRANSPOSE, 5, 32, 3, 4, 2, 3),
    (CONV, 15, 1, 16, 5, 3, 2),
    (CONV, 6, 3, 8, 2, 2, 1),
]


def make_pair(name, filters, kernel_size, stride, shape, **arguments):
    """A Keras layer and its fast twin with the same random weights, the bias included."""
    arguments = dict(strides=stride, padding="same") | arguments
    pair = [
        getattr(module, name)(filters, kernel_size, **arguments)
        for module in (keras.layers, layers)
    ]
    random = np.random.default_rng(0)
    for layer in pair:
        layer.build(shape)
    fan_in = kernel_size * kernel_size * shape[-1] if np.isscalar(kernel_size) else 1000
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


def normal(shape, seed=0, dtype="float32"):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), dtype)


def largest_difference(actual, expected):
    """In units of the largest expected entry."""
    return abs(actual - expected).max() / abs(expected).max()


def rms_difference(actual, expected):
    return np.sqrt(np.mean((actual - expected) ** 2) / np.mean(expected**2))


def form_of(name, size, channels, filters, kernel_size, stride, batch):
    if name == CONV:
        kernel_shape = (kernel_size, kernel_size, channels, filters)
        return layers.choose_form(batch, size // stride, kernel_shape, stride)
    kernel_shape = (kernel_size, kernel_size, filters, channels)
    return layers.choose_form(batch, size, kernel_shape, stride)


@pytest.mark.parametrize("case", FOURIER_CASES + SUB_PIXEL_CASES, ids=str)
def test_outputs_and_gradients_are_those_of_keras_and_of_float64(case):
    name, size, channels, filters, kernel_size, stride, batch = case
    expected_form = layers.FourierForm if case in FOURIER_CASES else layers.SubPixelForm
    assert isinstance(form_of(*case), expected_form)
    shape = (batch, size, size, channels)
    keras_layer, layer = make_pair(name, filters, kernel_size, stride, shape, activation="tanh")
    exact_layer = getattr(keras.layers, name).from_config(
        keras_layer.get_config() | {"dtype": "float64"}
    )
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
    for _ in range(25):
        n, k, stride, batch = random.integers([1, 1, 1, 1], [9, 7, 4, 4])
        kernel_shape = (k, k, *random.integers(1, 6, 2))
        forms = [layers.FourierForm(n, kernel_shape, stride)]
        if stride > 1:
            forms.append(layers.SubPixelForm(kernel_shape, stride))
        fine = normal((batch, n * stride, n * stride, kernel_shape[2]), seed=2)
        coarse = normal((batch, n, n, kernel_shape[3]), seed=3)
        kernel = normal(kernel_shape, seed=4)

        def all_of(convolve, transpose):
            with tf.GradientTape(persistent=True) as tape:
                tape.watch([fine, coarse, kernel])
                down, up = convolve(fine, kernel), transpose(coarse, kernel)
            results = [
                down,
                up,
                *tape.gradient(down, [fine, kernel], coarse),
                *tape.gradient(up, [coarse, kernel], fine),
            ]
            return [x.numpy() for x in results]

        expected = all_of(
            lambda x, w: tf.nn.conv2d(x, w, stride, "SAME"),
            lambda x, w: tf.nn.conv2d_transpose(x, w, fine.shape, stride, "SAME"),
        )
        for form in forms:
            actual = all_of(
                lambda x, w: layers.conv(form, x, w),
                lambda x, w: layers.conv_transpose(form, x, w),
            )
            for a, e in zip(actual, expected):
                assert a.shape == e.shape
                # Single sums may cancel, so in units of one product.
                assert abs(a - e).max() < 1e-5 * max(1, abs(e).max()), (n, kernel_shape, stride)


def test_the_trilinear_form_is_the_sum_in_the_documentation():
    n, k, stride, pad = 3, 5, 2, 1
    random = np.random.default_rng(0)
    fine, kernel, coarse = (random.standard_normal(s) for s in [(6, 6), (k, k), (n, n)])
    T_fine, T_kernel, T_coarse = layers.fourier_matrices(n, k, stride)

    expected = 0.0
    for i, j, t, s in np.ndindex(n, n, k, k):
        row, column = stride * i + t - pad, stride * j + s - pad
        if 0 <= row < 6 and 0 <= column < 6:
            expected += coarse[i, j] * fine[row, column] * kernel[t, s]

    phases = fine.reshape(n, stride, n, stride).transpose(0, 2, 1, 3).reshape(n * n, stride**2)
    kernel_phases = (T_kernel @ kernel.ravel()).reshape(-1, stride**2)
    actual = np.sum((T_fine @ phases) * kernel_phases * (T_coarse @ coarse.ravel())[:, None])
    assert actual == pytest.approx(expected, rel=1e-12)


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
    assert forms[0] is None
    chosen = [batch for batch in range(1, 513) if forms[batch] is not None]
    assert chosen == ([] if fourier_from is None else list(range(fourier_from, 513)))
    assert all(isinstance(forms[batch], layers.FourierForm) for batch in chosen)


@pytest.mark.parametrize(
    ("name", "shape", "arguments"),
    [
        (CONV, (32, 6, 6, 64), dict(padding="valid")),
        (CONV, (32, 6, 6, 64), dict(dilation_rate=2)),
        (CONV, (32, 6, 6, 64), dict(groups=2)),
        (CONV, (32, 6, 6, 64), dict(kernel_size=(5, 3))),
        (CONV, (96, 12, 12, 64), dict(strides=(2, 1))),
        (CONV, (128, 11, 11, 64), dict(strides=2)),
        (CONV, (32, 6, 5, 64), {}),
        (CONV, (2, 6, 6, 64), {}),
        (CONV, (32, 6, 6, 64), dict(dtype="float64")),
        (CONV, (32, 6, 6, 64), dict(data_format="channels_first")),
        (TRANSPOSE, (32, 6, 6, 64), dict(padding="valid")),
        (TRANSPOSE, (32, 6, 6, 64), dict(dilation_rate=2)),
        (TRANSPOSE, (96, 6, 6, 64), dict(strides=2, output_padding=1)),
        (TRANSPOSE, (32, 6, 5, 64), {}),
        (TRANSPOSE, (2, 6, 6, 64), {}),
    ],
    ids=str,
)
def test_elsewhere_it_is_the_keras_layer_bit_by_bit(name, shape, arguments):
    # But for the one thing that each of them changes, these would go the fast way.
    assert all(form_of(each, 6, 64, 64, 5, 1, 32) for each in (CONV, TRANSPOSE))
    assert form_of(CONV, 12, 64, 64, 5, 2, 96) and form_of(TRANSPOSE, 6, 64, 64, 5, 2, 96)

    arguments = dict(kernel_size=5, strides=1) | arguments
    kernel_size, stride = arguments.pop("kernel_size"), arguments.pop("strides")
    keras_layer, layer = make_pair(name, 64, kernel_size, stride, shape, **arguments)
    inputs = normal(shape, dtype=layer.compute_dtype)
    try:
        expected = outputs_and_gradients(keras_layer, inputs)
    except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError) as error:
        with pytest.raises(type(error)):  # where TensorFlow leaves oneDNN off
            outputs_and_gradients(layer, inputs)
        return
    for ours, theirs in zip(outputs_and_gradients(layer, inputs), expected):
        np.testing.assert_array_equal(ours, theirs)


def test_unknown_batch_is_left_to_keras():
    shape = (32, 6, 6, 64)
    keras_layer, layer = make_pair(CONV, 64, 5, 1, shape)
    unknown = [tf.TensorSpec((None, 6, 6, 64))]
    inputs = normal(shape)
    expected = tf.function(lambda x: keras_layer(x), input_signature=unknown)(inputs)
    actual = tf.function(lambda x: layer(x), input_signature=unknown)(inputs)
    np.testing.assert_array_equal(actual, expected)
    known = tf.function(lambda x: layer(x))(inputs)
    assert not np.array_equal(known, expected)  # the Fourier form, whose last bits differ
    assert largest_difference(known.numpy(), expected.numpy()) < 1e-5


@pytest.mark.parametrize("case", FOURIER_CASES[:3], ids=str)
def test_bfloat16_products(case):
    name, size, channels, filters, kernel_size, stride, batch = case
    shape = (batch, size, size, channels)
    exact_layer, _ = make_pair(name, filters, kernel_size, stride, shape)
    keras_layer, layer = make_pair(
        name, filters, kernel_size, stride, shape, dtype="mixed_bfloat16"
    )
    assert layer(normal(shape)).dtype == tf.bfloat16 == keras_layer(normal(shape)).dtype
    assert [w.dtype for w in layer.weights] == ["float32", "float32"]
    again = type(layer).from_config(layer.get_config())
    assert again.dtype_policy.name == "mixed_bfloat16"

    # Values that bfloat16 holds exactly, so that only the layer's own arithmetic differs.
    inputs = tf.cast(tf.cast(normal(shape), tf.bfloat16), tf.float32)
    exact = outputs_and_gradients(exact_layer, inputs)
    gradients = tf.cast(normal(exact[0].shape, seed=1), tf.bfloat16)
    exact = outputs_and_gradients(exact_layer, inputs, gradients)
    actual = outputs_and_gradients(layer, inputs, gradients)
    # Without instructions for bfloat16 TensorFlow rounds more often; Keras's layer is then off by
    # up to 0.16.
    native = environment.processor_features() & environment.BFLOAT16
    limit = 0.01 if native else 0.02
    for a, e in zip(actual, exact):
        assert largest_difference(a, e) < limit
        assert rms_difference(a, e) < limit
    # Not float32 in disguise.
    assert rms_difference(actual[0], exact[0]) > 1e-4


@pytest.mark.parametrize("name", [CONV, TRANSPOSE])
def test_second_order_gradients_are_right_too(name):
    """As a gradient penalty takes them."""
    shape = (17, 4, 4, 96)

    def penalty_gradients(layer):
        inputs = normal(shape)
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                outputs = tf.reduce_sum(layer(inputs) ** 2)
            penalty = tf.reduce_sum(inner.gradient(outputs, inputs) ** 2)
        return outer.gradient(penalty, layer.kernel.value).numpy()

    assert isinstance(form_of(name, 4, 96, 64, 5, 1, 17), layers.FourierForm)
    keras_layer, layer = make_pair(name, 64, 5, 1, shape)
    assert largest_difference(penalty_gradients(layer), penalty_gradients(keras_layer)) < 1e-4


# BatchNormalization


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
    "arguments",
    [dict(axis=1), dict(scale=False), dict(center=False), dict(trainable=False)],
    ids=str,
)
def test_other_batch_normalization_is_left_to_keras(arguments):
    inputs = normal((8, 6, 6, 6))
    expected = keras.layers.BatchNormalization(**arguments)(inputs, training=True)
    actual = layers.BatchNormalization(**arguments)(inputs, training=True)
    np.testing.assert_array_equal(actual, expected)


# Dropout


def mask(shape, state, rate=0.3):
    return layers.dropout_mask(tf.constant(shape), rate, tf.constant(state, tf.int64)).numpy()


def test_dropout_mask_is_the_hash_in_numpy():
    def scramble(x):
        x = (x ^ (x >> 16)) * np.uint32(0x7FEB352D)
        x = (x ^ (x >> 15)) * np.uint32(0x846CA68B)
        return x ^ (x >> 16)

    key = tf.random.stateless_uniform([2], [5, 11], None, None, tf.uint32, alg="philox").numpy()
    bits = scramble(scramble(np.arange(210, dtype=np.uint32) + key[0]) ^ key[1])
    expected = np.where(bits >= 0.3 * 2**32, np.float32(1 / 0.7), np.float32(0))
    np.testing.assert_array_equal(mask([2, 3, 5, 7], [5, 11]), expected.reshape(2, 3, 5, 7))


def test_dropout_keeps_its_share_and_scales_by_its_inverse():
    shape, draws = [2**22], 20
    kept = 0
    for counter in range(draws):
        drawn = mask(shape, [7, counter])
        kept += np.count_nonzero(drawn)
    assert set(np.unique(drawn)) == {np.float32(0), np.float32(1 / 0.7)}
    # 2e-4 is four standard deviations of this many draws.
    assert kept / (draws * shape[0]) == pytest.approx(0.7, abs=2e-4)


def test_dropout_draws_are_independent():
    n = 2**20
    bound = 5 / np.sqrt(n)  # five standard deviations of a correlation
    standard = lambda x: (x - x.mean()) / x.std()
    drawn = standard(mask([n], [1, 0]))
    for lag in (1, 2, 7, 64, 128, 14 * 64, 14 * 14 * 64, 65536):
        assert abs(np.mean(drawn[lag:] * drawn[:-lag])) < bound
    for state in ([1, 1], [1, 2], [2, 0], [0, 1], [1, 2**32]):
        other = standard(mask([n], state))
        assert abs(np.mean(drawn * other)) < bound
    shares = mask([1024, 1024], [3, 0]).mean(axis=0)  # per unit, over the batch
    assert shares.std() == pytest.approx(np.sqrt(0.3 / 0.7 / 1024), rel=0.1)


def test_dropout_mask_depends_on_the_seed_state_only():
    inputs = normal((8, 5, 5, 3))
    first, second = layers.Dropout(0.3, seed=4), layers.Dropout(0.3, seed=4)
    reference = keras.layers.Dropout(0.3, seed=4)
    for _ in range(3):
        state = first.seed_generator.state.numpy()
        expected = inputs * mask(inputs.shape, state)
        np.testing.assert_array_equal(first(inputs, training=True), expected)
        compiled = tf.function(lambda x: second(x, training=True))
        np.testing.assert_array_equal(compiled(inputs), expected)
        reference(inputs, training=True)
        for layer in first, second:  # one call, one step, as in Keras
            np.testing.assert_array_equal(
                layer.seed_generator.state, reference.seed_generator.state
            )
    state = first.seed_generator.state.numpy()
    np.testing.assert_array_equal(
        first(inputs), inputs
    )  # in inference: nothing is dropped or drawn
    np.testing.assert_array_equal(first.seed_generator.state, state)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = first(inputs, training=True)
    np.testing.assert_array_equal(tape.gradient(outputs, inputs), mask(inputs.shape, state))


@pytest.mark.parametrize("arguments", [dict(rate=0.3, noise_shape=(None, 1)), dict(rate=0.0)])
def test_other_dropout_is_left_to_keras(arguments):
    inputs = normal((4, 50))
    expected = keras.layers.Dropout(**arguments, seed=1)(inputs, training=True)
    actual = layers.Dropout(**arguments, seed=1)(inputs, training=True)
    np.testing.assert_array_equal(actual, expected)


# In a model


def make_model(module):
    return keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            module.Conv2D(32, 5, strides=2, padding="same"),
            module.BatchNormalization(),
            keras.layers.LeakyReLU(),
            module.Dropout(0.3, seed=1),
            module.Conv2D(32, 5, padding="same"),
            module.Conv2DTranspose(1, 4, strides=2, padding="same"),
        ]
    )


@pytest.mark.parametrize("source, target", [("keras", "fast"), ("fast", "keras")])
def test_weights_and_checkpoints_move_both_ways(source, target, tmp_path):
    modules = {"keras": keras.layers, "fast": layers}
    source, target = make_model(modules[source]), make_model(modules[target])
    describe = lambda model: [(w.path.split("/", 1)[1], w.shape, w.dtype) for w in model.weights]
    names = lambda model: [name.rsplit("/", 1)[1] for name, _, _ in describe(model)]
    assert names(source) == names(target)
    assert [d[1:] for d in describe(source)] == [d[1:] for d in describe(target)]
    inputs = normal((64, 12, 12, 1))
    source(inputs, training=True)  # moves the moving averages

    before = target(inputs).numpy()
    path = tf.train.Checkpoint(model=source).write(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(model=target).read(path).assert_consumed()
    after = target(inputs).numpy()
    assert largest_difference(before, after) > 0.1
    assert largest_difference(after, source(inputs).numpy()) < 1e-5
    for a, e in zip(target.get_weights(), source.get_weights()):
        np.testing.assert_array_equal(a, e)

    target.set_weights([2 * w for w in source.get_weights()])
    source.set_weights(target.get_weights())
    assert largest_difference(target(inputs).numpy(), source(inputs).numpy()) < 1e-5


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
def test_a_model_trains_by_fit_and_is_saved_and_cloned(tmp_path):
    keras.utils.set_random_seed(0)
    model = make_model(layers)
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="mse")
    inputs = normal((100, 12, 12, 1))  # batches of 32, 32, 32 and 4
    losses = model.fit(inputs, inputs, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[0]) is layers.Conv2D
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone(inputs), model(inputs))
