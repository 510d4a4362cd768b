import numpy as np
import pytest
import tensorflow as tf

from gan_tf.noise import make_fixed_noise, make_noise


def test_noise_is_unit_gaussian_and_a_function_of_its_arguments():
    noise = make_noise(2000, 100, seed=1, index=2).numpy()
    assert noise.shape == (2000, 100) and noise.dtype == np.float32
    assert abs(noise.mean()) < 0.01 and abs(noise.std() - 1) < 0.01
    np.testing.assert_array_equal(noise, make_noise(2000, 100, seed=1, index=2))
    for other in [dict(seed=1, index=3), dict(seed=2, index=2)]:
        assert (
            abs(np.corrcoef(noise.ravel(), make_noise(2000, 100, **other).numpy().ravel())[0, 1])
            < 0.01
        )


@pytest.mark.parametrize("seed, index", [(0, 0), (0, -1), (7, 46_900), (2**32 - 1, 2**40)])
def test_noise_is_tensorflows_own(seed, index):
    expected = tf.random.stateless_normal([5, 3], [seed, index], alg="philox")
    np.testing.assert_array_equal(make_noise(5, 3, seed, index), expected)


def test_the_fixed_noise_is_no_training_steps_noise():
    fixed = make_fixed_noise(100, seed=0).numpy()
    assert fixed.shape == (16, 100)
    for step in range(20):
        assert (fixed != make_noise(16, 100, 0, step).numpy()).all()
