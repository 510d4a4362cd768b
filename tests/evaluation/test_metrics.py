import numpy as np
import pytest

from gan_tf.evaluation import metrics

RANDOM = np.random.default_rng(0)


def with_moments(mean, covariance, count=500):
    """Returns samples with exactly this mean and covariance."""
    values = RANDOM.normal(size=[count, len(mean)])
    values -= values.mean(axis=0)
    values = values @ np.linalg.inv(np.linalg.cholesky(np.cov(values, rowvar=False))).T
    return values @ np.linalg.cholesky(covariance).T + mean


def test_frechet_distance_of_gaussians_is_the_closed_form():
    """In two dimensions tr sqrt(A B) = sqrt(tr(A B) + 2 sqrt(det A det B))."""
    a, b = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[4.0, -1.0], [-1.0, 1.0]])
    root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a) * np.linalg.det(b)))
    expected = 2**2 + 3**2 + np.trace(a) + np.trace(b) - 2 * root
    samples, others = with_moments(np.array([1, 2]), a), with_moments(np.array([-1, 5]), b)
    assert metrics.frechet_distance(samples, others) == pytest.approx(expected, abs=1e-9)
    assert metrics.frechet_distance(samples, samples) == pytest.approx(0, abs=1e-9)


def test_kernel_distance_is_the_mean_over_pairs_and_then_over_ten_blocks():
    xs, ys = RANDOM.normal(size=[10, 5, 3]), RANDOM.normal(size=[10, 5, 3]) + 1

    def kernel(a, b):
        return (np.dot(a, b) / 3 + 1) ** 3

    blocks = []
    for x, y in zip(xs, ys):
        within = [
            np.mean([kernel(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j])
            for z in (x, y)
        ]
        between = np.mean([kernel(a, b) for a in x for b in y])
        blocks.append(sum(within) - 2 * between)
    value, error = metrics.kernel_distance(xs.reshape(50, 3), ys.reshape(50, 3))
    assert value == pytest.approx(np.mean(blocks))
    assert error == pytest.approx(np.std(blocks, ddof=1) / np.sqrt(10))


def test_density_and_coverage_by_hand():
    """Real samples 0 to 9 on a line: the radii are 5, 4, 3, 3, 3, 3, 3, 3, 4, 5."""
    real = np.arange(10.0)[:, None]
    # 0 is in the balls around 0, 1, 2 and 3: four of ten.
    assert metrics.density_and_coverage(real, np.array([[0.0]])) == (4 / 5, 4 / 10)
    # 4.5 is in all balls, with distances of 4.5, 3.5, 2.5, 1.5, 0.5, ...
    assert metrics.density_and_coverage(real, np.array([[4.5]])) == (10 / 5, 1.0)
    # -6 is in no ball, which halves the density.
    both = np.array([[0.0], [-6.0]])
    assert metrics.density_and_coverage(real, both) == (4 / 10, 4 / 10)


def test_strangeness_is_the_distance_to_the_fifth_nearest_direction():
    """Training images at 0, 10, ... 90 degrees, of any length: a chord is 2 sin(angle / 2)."""
    angles = np.deg2rad(np.arange(0, 100, 10))
    train = np.stack([np.cos(angles), np.sin(angles)], axis=1) * RANDOM.uniform(1, 9, [10, 1])
    found = metrics.strangeness(np.array([[3.0, 0.0], [0.0, -0.1], [1.0, 1.0]]), train)
    expected = 2 * np.sin(np.deg2rad([40, 90 + 40, 25]) / 2)
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_copies_are_distinguished_from_new_samples():
    """New samples are as far from the training set as test samples are; copies are nearer."""
    train, test, new = RANDOM.normal(size=[3, 2000, 4])
    cells = (test[:, 0] > 0).astype(int)

    def score(samples):
        distances = [metrics.nearest(z, train)[0][:, 0] for z in (samples, test)]
        return metrics.copying_score(
            distances[0], (samples[:, 0] > 0).astype(int), distances[1], cells
        )

    assert abs(score(new)) < 3
    assert score(train) < -20
    assert score(np.concatenate([train[:400], new[:1600]])) < -3  # a fifth are copies
    assert score(new * 3) > 3
