"""Measures of two sets of features."""

import numpy as np
import scipy.linalg
import scipy.stats
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors

_NEIGHBOURS = 5  # of density and coverage, as in the paper; also of strangeness
_BLOCK = 1000  # most samples in each estimate of KID
_BLOCKS = 10  # fewest estimates of KID, whose scatter gives the standard error
_FEWEST = 10  # samples of each kind in a cell that are worth a comparison


def frechet_distance(features: np.ndarray, others: np.ndarray) -> float:
    """Fréchet distance between the Gaussians that have the mean and covariance of two sets.

    It grows as the sets get smaller, so compare only sets of equal size.

    Args:
      features, others: `[count, dimensions]`, more samples than dimensions.

    Returns:
      The squared distance |m - m'|² + tr(C + C' - 2 (C C')^(1/2)), 0 or more.

    Source: Dowson & Landau 1982; for images Heusel et al. 2017, with other features.
    """
    means = [np.mean(values, axis=0, dtype=np.float64) for values in (features, others)]
    covariances = [np.cov(values.astype(np.float64), rowvar=False) for values in (features, others)]
    covariances = [np.atleast_2d(covariance) for covariance in covariances]
    # Of a product of two covariances the eigenvalues are real and not negative, up to rounding.
    eigenvalues = scipy.linalg.eigvals(covariances[0] @ covariances[1]).real
    root_trace = np.sum(np.sqrt(np.maximum(eigenvalues, 0)))
    distance = np.sum((means[0] - means[1]) ** 2)
    distance += np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * root_trace
    return float(max(distance, 0.0))


def kernel_distance(features: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """Unbiased squared maximum mean discrepancy with a cubic kernel, and its standard error.

    Args:
      features, others: `[count, dimensions]`, at least 20 of each.

    Returns:
      The mean over ten or more disjoint blocks of up to 1,000 samples, which is 0 on average for
      two sets of one distribution and may be below; and the standard error of that mean.

    Source: Bińkowski et al. 2018, "Demystifying MMD GANs", there with other features.
    """
    count = min(len(features), len(others))
    blocks = max(_BLOCKS, count // _BLOCK)
    values = [
        _kernel_distance(block.astype(np.float64), other.astype(np.float64))
        for block, other in zip(
            np.array_split(features[:count], blocks), np.array_split(others[:count], blocks)
        )
    ]
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(blocks))


def _kernel_distance(x, y):
    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    def mean_of_pairs(values):  # of different samples
        return (values.sum() - np.trace(values)) / (len(values) * (len(values) - 1))

    within = mean_of_pairs(kernel(x, x)) + mean_of_pairs(kernel(y, y))
    return within - 2 * kernel(x, y).mean()


def density_and_coverage(real: np.ndarray, generated: np.ndarray) -> tuple[float, float]:
    """How far generated samples lie where real ones are dense, and how many real ones they reach.

    Each real sample has a ball that reaches to its fifth nearest real neighbour.

    Args:
      real, generated: `[count, dimensions]`, more than 5 real ones.

    Returns:
      Density: in how many balls a generated sample lies on average, over 5; 1 for real samples, and
      more where generated ones crowd in the middle. Coverage: the share of balls with a generated
      sample in it, from 0 to 1.

    Source: Naeem et al. 2020, "Reliable fidelity and diversity metrics for generative models".
    """
    # Every sample is its own nearest neighbour.
    nearest = NearestNeighbors(n_neighbors=_NEIGHBOURS + 1, algorithm="brute").fit(real)
    radii = nearest.kneighbors(real)[0][:, -1]
    inside = np.zeros(len(real), np.int64)
    first = 0
    for distances in pairwise_distances_chunked(real, generated, working_memory=128):
        rows = slice(first, first + len(distances))
        inside[rows] = np.sum(distances <= radii[rows, None], axis=1)
        first += len(distances)
    density = inside.sum() / (_NEIGHBOURS * len(generated))
    return float(density), float(np.mean(inside > 0))


def nearest(samples: np.ndarray, reference: np.ndarray, count: int = 1):
    """Returns distances and indices of the nearest references: each `[samples, count]`."""
    return NearestNeighbors(n_neighbors=count, algorithm="brute").fit(reference).kneighbors(samples)


def copying_score(generated, generated_cells, test, test_cells) -> float:
    """Whether generated samples lie nearer to the training samples than test samples do.

    Args:
      generated, test: `[count]`, distances to the nearest training sample.
      generated_cells, test_cells: `[count]` int, in which part of the space each lies; only
        samples of one part are compared.

    Returns:
      The mean over parts of the Mann-Whitney statistic in units of its standard deviation, each
      part weighed by its test samples: about 0 for fresh samples of the same distribution, below
      -3 where there are copies, above 0 where samples are off what was trained on.

    Source: Meehan et al. 2020, "A non-parametric test to detect data-copying in generative models".
    """
    scores, weights = [], []
    for cell in np.unique(test_cells):
        ours, theirs = generated[generated_cells == cell], test[test_cells == cell]
        n, m = len(ours), len(theirs)
        if min(n, m) < _FEWEST:
            continue
        statistic = scipy.stats.mannwhitneyu(ours, theirs).statistic
        scores.append((statistic - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))
        weights.append(m)
    return float(np.average(scores, weights=weights)) if scores else 0.0


def strangeness(features: np.ndarray, train_features: np.ndarray) -> np.ndarray:
    """How far each image is from all that a classifier has learned to name.

    Args:
      features: `[count, dimensions]`.
      train_features: of the images that the classifier was trained on.

    Returns:
      `[count]`, the distance between the direction of an image's features and that of the fifth
      nearest training image, from 0 to 2.

    Source: Sun et al. 2022, "Out-of-distribution detection with deep nearest neighbors".
    """
    directions, train_directions = (
        values / np.linalg.norm(values, axis=1, keepdims=True)
        for values in (features, train_features)
    )
    distances, _ = nearest(directions, train_directions, _NEIGHBOURS)
    return distances[:, -1]
