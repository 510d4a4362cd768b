import numpy as np
import pytest

from gan_tf.evaluation.variety import real_variety, variety


def test_variety_is_the_mean_distance_between_pairs():
    images = np.random.default_rng(0).uniform(-1, 1, [7, 28, 28, 1])
    pairs = [(a, b) for i, a in enumerate(images) for b in images[:i]]
    expected = np.mean([np.sqrt(np.mean((a - b) ** 2)) for a, b in pairs])
    assert variety(images) == pytest.approx(expected)


def test_variety_is_in_units_of_grey_values_for_training_images_too():
    black, white = np.zeros([1, 28, 28, 1], np.uint8), np.full([1, 28, 28, 1], 255, np.uint8)
    assert real_variety(np.concatenate([black, white])) == pytest.approx(2)
    assert real_variety(np.concatenate([black, black, white])) == pytest.approx(4 / 3)
    assert real_variety(white) == 0
    many = np.random.default_rng(0).integers(0, 256, [600, 28, 28, 1], np.uint8)
    assert real_variety(many) == pytest.approx(variety(many / 127.5 - 1), rel=1e-2)
    assert real_variety(np.repeat(many[:1], 9, axis=0)) < 1e-6
