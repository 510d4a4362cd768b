import numpy as np
import pytest
import tensorflow as tf

from gan_tf.models import make_discriminator, make_generator


def shapes(model):
    return [tuple(layer.output.shape[1:]) for layer in model.layers]


def test_the_generator_is_the_homework():
    generator = make_generator()
    assert isinstance(generator, tf.keras.Sequential)
    assert generator.count_params() == 2_330_944
    assert shapes(generator) == [
        *[(12544,)] * 3,
        *[(7, 7, 256)],
        *[(7, 7, 128)] * 3,
        *[(14, 14, 64)] * 3,
        *[(28, 28, 1)],
    ]
    kernels = [tuple(layer.kernel.shape) for layer in generator.layers if hasattr(layer, "kernel")]
    assert kernels == [(100, 12544), (5, 5, 128, 256), (5, 5, 64, 128), (5, 5, 1, 64)]
    assert not any(getattr(layer, "use_bias", False) for layer in generator.layers)


def test_the_discriminator_is_the_homework():
    discriminator = make_discriminator()
    assert isinstance(discriminator, tf.keras.Sequential)
    assert discriminator.count_params() == 212_865
    assert shapes(discriminator) == [
        *[(14, 14, 64)] * 3,
        *[(7, 7, 128)] * 3,
        (6272,),
        (1,),
    ]


def test_leaky_relu_and_dropout_are_the_homeworks():
    layers = make_generator().layers + make_discriminator().layers
    slopes = [
        layer.negative_slope for layer in layers if isinstance(layer, tf.keras.layers.LeakyReLU)
    ]
    rates = [layer.rate for layer in layers if isinstance(layer, tf.keras.layers.Dropout)]
    assert slopes == [0.3] * 5
    assert rates == [0.3] * 2


def test_images_are_within_the_range_of_tanh():
    images = make_generator()(100 * tf.random.stateless_normal([8, 100], [0, 0]), training=True)
    assert images.shape == [8, 28, 28, 1] and images.dtype == tf.float32
    assert np.abs(images).max() <= 1
    assert np.abs(images).max() > 0.9


@pytest.mark.parametrize("latent_dim", [1, 7])
def test_the_length_of_the_noise_is_free(latent_dim):
    assert make_generator(latent_dim)(tf.zeros([2, latent_dim])).shape == [2, 28, 28, 1]


def test_in_inference_an_image_does_not_depend_on_its_batch():
    generator, discriminator = make_generator(), make_discriminator()
    noise = tf.random.stateless_normal([4, 100], [1, 2])
    images = generator(noise, training=False)
    alone = generator(noise[:1], training=False)
    np.testing.assert_allclose(alone, images[:1], atol=1e-6)
    np.testing.assert_array_equal(discriminator(images), discriminator(images))
