import numpy as np
import pytest
import tensorflow as tf

from gan_tf.models import make_discriminator, make_generator


@pytest.fixture(scope="module")
def networks():
    tf.keras.utils.set_random_seed(0)
    return make_generator(), make_discriminator()


def test_the_networks_are_those_of_the_assignment(networks):
    generator, discriminator = networks
    assert isinstance(generator, tf.keras.Sequential)
    assert isinstance(discriminator, tf.keras.Sequential)
    assert generator.count_params() == 2_330_944
    assert discriminator.count_params() == 212_865
    shapes = [[tuple(layer.output.shape[1:]) for layer in network.layers] for network in networks]
    assert shapes == [
        [*[(12544,)] * 3, (7, 7, 256), *[(7, 7, 128)] * 3, *[(14, 14, 64)] * 3, (28, 28, 1)],
        [*[(14, 14, 64)] * 3, *[(7, 7, 128)] * 3, (6272,), (1,)],
    ]
    kernels = [tuple(layer.kernel.shape) for layer in generator.layers if hasattr(layer, "kernel")]
    assert kernels == [(100, 12544), (5, 5, 128, 256), (5, 5, 64, 128), (5, 5, 1, 64)]
    assert not any(getattr(layer, "use_bias", False) for layer in generator.layers)
    layers = generator.layers + discriminator.layers
    slopes = [layer.negative_slope for layer in layers if hasattr(layer, "negative_slope")]
    rates = [layer.rate for layer in layers if isinstance(layer, tf.keras.layers.Dropout)]
    assert (slopes, rates) == ([0.3] * 5, [0.3] * 2)


def test_images_are_within_the_range_of_tanh(networks):
    generator, _ = networks
    images = generator(100 * tf.random.stateless_normal([8, 100], [0, 0]), training=True)
    assert images.shape == [8, 28, 28, 1] and images.dtype == tf.float32
    assert 0.9 < np.abs(images).max() <= 1
