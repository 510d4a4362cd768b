import numpy as np
import tensorflow as tf

from gan_tf.augment import shift_and_cut_out

SIDE, REACH, CUT = 28, 4, 14  # an eighth and a half of the side


def augmented(images, seed=0, index=0):
    return shift_and_cut_out(tf.constant(images), seed, tf.constant(index, tf.int64)).numpy()


def random_images(count):
    return np.random.default_rng(0).uniform(0.5, 1, [count, SIDE, SIDE, 1]).astype(np.float32)


def test_draws_are_a_pure_function_of_seed_and_index():
    images = random_images(8)
    first = augmented(images, seed=1, index=2)
    np.testing.assert_array_equal(first, augmented(images, seed=1, index=2))
    assert (first != augmented(images, seed=1, index=3)).any()
    assert (first != augmented(images, seed=2, index=2)).any()


def test_each_image_is_shifted_and_loses_one_square():
    """Whatever is not 0 is a pixel of the image, all moved by the same distance of its own."""
    images = random_images(300)
    shifts, squares = set(), set()
    for image, seen in zip(images[..., 0], augmented(images)[..., 0]):
        kept = seen != 0
        padded = np.pad(image, REACH)
        matches = [
            (down, right)
            for down in range(-REACH, REACH + 1)
            for right in range(-REACH, REACH + 1)
            if np.array_equal(
                seen[kept],
                padded[REACH - down :, REACH - right :][:SIDE, :SIDE][kept],
            )
        ]
        assert len(matches) == 1
        (shift,) = matches
        shifts.add(shift)
        came_in = padded[REACH - shift[0] :, REACH - shift[1] :][:SIDE, :SIDE] != 0
        rows, columns = np.nonzero(came_in & ~kept)
        if len(rows):  # the square may lie where nothing came in
            height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
            assert height <= CUT and width <= CUT and len(rows) == height * width
            squares.add((height, width))
    assert {down for down, _ in shifts} == set(range(-REACH, REACH + 1))
    assert {right for _, right in shifts} == set(range(-REACH, REACH + 1))
    assert (CUT, CUT) in squares and len(squares) > 20


def test_the_gradient_reaches_exactly_the_pixels_that_are_seen():
    images = tf.constant(random_images(20))
    with tf.GradientTape() as tape:
        tape.watch(images)
        seen = shift_and_cut_out(images, 3, tf.constant(4, tf.int64))
        total = tf.reduce_sum(seen)
    gradient = tape.gradient(total, images).numpy()
    np.testing.assert_array_equal(np.unique(gradient), [0, 1])
    counts = np.sum(seen.numpy() != 0, axis=(1, 2, 3))
    np.testing.assert_array_equal(gradient.sum(axis=(1, 2, 3)), counts)
