"""Images that look like garments, for tests and for a first try without a download."""

import numpy as np
from PIL import Image, ImageDraw

COUNT = 6_000  # training images, unless `max_images` is lower
TEST_COUNT = 1_000
TEST_SEED = 10**9  # added to the seed of the training images; NumPy splits seeds at 2**32

# Right halves of garment outlines, from the top of the neck to the hem, in units of half the image:
# x from the middle outwards, y from the top down. The left half is the mirror image.
_OUTLINES = {
    "t-shirt": [(0.2, 0.2), (0.5, 0.25), (0.9, 0.65), (0.7, 0.85), (0.5, 0.7), (0.5, 1.8)],
    "pullover": [(0.2, 0.2), (0.5, 0.25), (0.9, 1.6), (0.7, 1.65), (0.5, 0.8), (0.5, 1.8)],
    "dress": [(0.2, 0.1), (0.3, 0.1), (0.25, 0.5), (0.25, 0.8), (0.6, 1.9)],
    "trousers": [(0.0, 0.1), (0.4, 0.1), (0.5, 1.9), (0.2, 1.9), (0.05, 0.6)],
    "bag": [(0.0, 0.7), (0.35, 0.7), (0.4, 0.3), (0.5, 0.3), (0.5, 0.7), (0.85, 0.75), (0.8, 1.7)],
    "skirt": [(0.0, 0.4), (0.35, 0.4), (0.7, 1.6)],
}
CLASSES = tuple(_OUTLINES)


def synthetic_images(count: int, seed: int) -> np.ndarray:
    """Draws silhouettes of garments with random classes, sizes, outlines and textures.

    Args:
      count: number of images; the first images are the same for every count.
      seed: whole number >= 0.

    Returns:
      `[count, 28, 28, 1]` uint8 in [0, 255].
    """
    images = np.empty([count, 28, 28, 1], np.uint8)
    for index in range(count):
        random = np.random.default_rng([seed, index])
        half = np.array(_OUTLINES[CLASSES[random.integers(len(CLASSES))]])
        half = half * random.uniform(0.85, 1.05, size=2) + random.uniform(-0.04, 0.04, half.shape)
        outline = np.concatenate([half, half[::-1] * [-1, 1]]) + [1, 0]  # [2 * points, 2]
        canvas = Image.new("L", [112, 112])  # four times as large, for smooth edges
        ImageDraw.Draw(canvas).polygon([tuple(56 * point) for point in outline], fill=255)
        silhouette = np.asarray(canvas.reduce(4)) / 255  # [28, 28]
        cloth = random.uniform(90, 230) + random.normal(0, 8, [28, 28])
        images[index, :, :, 0] = np.clip(silhouette * cloth, 0, 255)
    return images


def synthetic_labels(count: int, seed: int) -> np.ndarray:
    """Returns the indices in `CLASSES` of `synthetic_images(count, seed)`: `[count]` int64."""
    generators = (np.random.default_rng([seed, index]) for index in range(count))
    return np.array([random.integers(len(CLASSES)) for random in generators], np.int64)
