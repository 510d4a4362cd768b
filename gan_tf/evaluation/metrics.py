"""Distances between two sets of features, and other comparisons of them."""

import numpy as np
import scipy.linalg
import scipy.stats
from sklearn.metrics import pairwise_distances_chunked
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors

_NEIGHBOURS = 5  # for density and coverage, as in the paper, and for strangeness
_MAX_BLOCK = 1000  # samples in each estimate of KID
_MIN_BLOCKS = 10  # estimates of KID, whose scatter gives the standard error
_MIN_CELL = 10  # samples of both kinds for a comparison within a cell


def frechet_distance(features: np.ndarray, others: np.ndarray) -> float:
    """Computes the Fréchet distance between Gaussians with the moments of two sets.

    It is larger for smaller sets, so compare only sets of equal size.

    Args:
      features, others: `[count, dimensions]`, more samples than dimensions.

    Returns:
      The squared distance |m - m'|² + tr(C + C' - 2 (C C')^(1/2)), 0 or more.

    Source: Dowson & Landau 1982; for images Heusel et al. 2017, with other features.
    """
    pair = np.asarray(features, np.float64), np.asarray(others, np.float64)
    mean, other_mean = (np.mean(values, axis=0) for values in pair)
    covariance, other_covariance = (np.cov(values, rowvar=False) for values in pair)
    # The eigenvalues of a product of two covariances are real and not negative, up to rounding.
    eigenvalues = scipy.linalg.eigvals(covariance @ other_covariance).real
    root_trace = np.sum(np.sqrt(np.maximum(eigenvalues, 0)))
    distance = np.sum((mean - other_mean) ** 2)
    distance += np.trace(covariance) + np.trace(other_covariance) - 2 * root_trace
    return float(max(distance, 0.0))


def kernel_distance(features: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """Estimates the squared maximum mean discrepancy with a cubic kernel, without bias.

    Args:
      features, others: `[count, dimensions]`, at least 20 samples each.

    Returns:
      The mean over ten or more disjoint blocks of up to 1,000 samples, and its standard error. The
      mean can be negative: for two sets of the same distribution its expectation is 0.

    Source: Bińkowski et al. 2018, "Demystifying MMD GANs", there with other features.
    """
    count = min(len(features), len(others))
    blocks = max(_MIN_BLOCKS, count // _MAX_BLOCK)
    values = [
        _kernel_distance(block.astype(np.float64), other.astype(np.float64))
        for block, other in zip(
            np.array_split(features[:count], blocks), np.array_split(others[:count], blocks)
        )
    ]
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(blocks))


def _kernel_distance(x, y):
    def mean_of_pairs(values):  # pairs of different samples
        return (values.sum() - np.trace(values)) / (len(values) * (len(values) - 1))

    kernel = polynomial_kernel  # (x · y / dimensions + 1)³
    return mean_of_pairs(kernel(x)) + mean_of_pairs(kernel(y)) - 2 * kernel(x, y).mean()


def density_and_coverage(real: np.ndarray, generated: np.ndarray) -> tuple[float, float]:
    """Computes density and coverage of generated samples.

    Both count generated samples in balls around the real samples, whose radius is the distance to
    the fifth nearest real neighbour.

    Args:
      real, generated: `[count, dimensions]`, with more than 5 real samples.

    Returns:
      Density: the mean number of balls that contain a generated sample, divided by 5. It is 1 for
      real samples, and higher if generated samples crowd where real ones are dense. Coverage: the
      share of balls that contain a generated sample, from 0 to 1.

    Source: Naeem et al. 2020, "Reliable fidelity and diversity metrics for generative models".
    """
    # One more neighbour, since every sample is its own nearest neighbour.
    nearest = NearestNeighbors(n_neighbors=_NEIGHBOURS + 1, algorithm="brute").fit(real)
    radii = nearest.kneighbors(real)[0][:, -1]

    def count_inside(distances, first):
        return np.sum(distances <= radii[first : first + len(distances), None], axis=1)

    chunks = pairwise_distances_chunked(
        real, generated, reduce_func=count_inside, working_memory=128
    )
    inside = np.concatenate([*chunks])
    density = inside.sum() / (_NEIGHBOURS * len(generated))
    return float(density), float(np.mean(inside > 0))


def nearest(samples: np.ndarray, reference: np.ndarray, count: int = 1):
    """Returns the distances and indices of the nearest references: `[samples, count]` each."""
    return NearestNeighbors(n_neighbors=count, algorithm="brute").fit(reference).kneighbors(samples)


def copying_score(generated, generated_cells, test, test_cells) -> float:
    """Tests whether generated samples are nearer to the training samples than test samples are.

    Args:
      generated, test: `[count]`, distances to the nearest training sample.
      generated_cells, test_cells: `[count]` int, the part of the space that each sample is in; only
        samples in the same part are compared.

    Returns:
      The mean over the parts of the Mann-Whitney statistic in standard deviations, weighted by the
      numbers of test samples. It is about 0 for new samples of the same distribution, below -3 for
      copies, and above 0 for samples far from the training samples.

    Source: Meehan et al. 2020, "A non-parametric test to detect data-copying in generative models".
    """
    scores, weights = [], []
    for cell in np.unique(test_cells):
        generated_in, test_in = generated[generated_cells == cell], test[test_cells == cell]
        n, m = len(generated_in), len(test_in)
        if min(n, m) < _MIN_CELL:
            continue
        statistic = scipy.stats.mannwhitneyu(generated_in, test_in).statistic
        scores.append((statistic - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))
        weights.append(m)
    return float(np.average(scores, weights=weights)) if scores else 0.0


def strangeness(features: np.ndarray, train_features: np.ndarray) -> np.ndarray:
    """Measures how far each image is from the images that a classifier was trained on.

    Args:
      features: `[count, dimensions]`.
      train_features: `[train_count, dimensions]`, those of the classifier's training images.

    Returns:
      `[count]`, the distance between the directions of an image's features and of those of the
      fifth nearest training image, from 0 to 2.

    Source: Sun et al. 2022, "Out-of-distribution detection with deep nearest neighbors".
    """
    directions, train_directions = (
        values / np.linalg.norm(values, axis=1, keepdims=True)
        for values in (features, train_features)
    )
    distances, _ = nearest(directions, train_directions, _NEIGHBOURS)
    return distances[:, -1]
