import numpy as np
import pytest
import tensorflow as tf
from helpers import command

from gan_tf.noise import make_fixed_noise, make_noise, walk


@pytest.mark.parametrize("seed, index", [(0, 0), (0, -1), (7, 46_900), (2**32 - 1, 2**40)])
def test_noise_is_tensorflows_own(seed, index):
    expected = tf.random.stateless_normal([5, 3], [seed, index], alg="philox")
    np.testing.assert_array_equal(make_noise(5, 3, seed, index), expected)


def test_noise_is_the_same_under_xla():
    program = "from gan_tf.noise import make_noise; print(make_noise(5, 3, 7, 2).numpy().tolist())"
    finished = command("-c", program, TF_XLA_FLAGS="--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit")
    assert finished.stdout == f"{make_noise(5, 3, 7, 2).numpy().tolist()}\n"


def test_the_fixed_noise_differs_from_that_of_training_steps():
    fixed = make_fixed_noise(100, seed=0).numpy()
    assert fixed.shape == (16, 100)
    for step in range(20):
        assert (fixed != make_noise(16, 100, 0, step).numpy()).all()


def test_a_walk_turns_evenly_along_the_sphere():
    random = np.random.default_rng(0)
    start, end = random.normal(size=[2, 100]).astype(np.float32)
    path = walk(start, end, 9)
    np.testing.assert_array_equal(path[[0, -1]], [start, end])
    lengths = np.linalg.norm(path, axis=1)
    np.testing.assert_allclose(lengths, np.linspace(lengths[0], lengths[-1], 9), rtol=1e-5)
    directions = path / lengths[:, None]
    angles = np.arccos(np.sum(directions[1:] * directions[:-1], axis=1))
    whole = np.arccos(directions[0] @ directions[-1])
    np.testing.assert_allclose(angles, whole / 8, rtol=1e-3)
    straight = np.linalg.norm((start + end) / 2)
    assert straight < 0.8 * lengths[4]  # the reason for the walk


def test_a_walk_to_the_same_or_the_opposite_vector_stays_finite():
    start = np.ones(4, np.float32)
    np.testing.assert_allclose(walk(start, start, 5), np.tile(start, [5, 1]), rtol=1e-6)
    assert np.isfinite(walk(start, -start, 4)).all()
