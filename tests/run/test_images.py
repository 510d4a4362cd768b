import numpy as np
from PIL import Image

from gan_tf.run import images


def test_grey_levels():
    values = [-2.0, -1.0, -1 + 1 / 255, 0.0, 1 - 1.9 / 255, 1.0, 7.0]
    assert images.to_uint8(np.array(values)).tolist() == [0, 0, 0, 128, 254, 255, 255]


def test_every_grey_level_survives_the_way_to_the_network_and_back():
    levels = np.arange(256, dtype=np.float32)
    np.testing.assert_array_equal(images.to_uint8((levels - 127.5) / 127.5), levels)


def test_a_grid_shows_every_image_in_its_place():
    pictures = np.arange(1, 6, dtype=np.uint8)[:, None, None, None] * np.ones(
        [5, 4, 3, 1], np.uint8
    )
    grid = images.make_grid(pictures, zoom=2)
    assert grid.shape == (2 * (2 * 6 + 2), 2 * (3 * 5 + 2))
    for index in range(5):
        row, column = divmod(index, 3)
        top, left = 2 * (2 + 6 * row), 2 * (2 + 5 * column)
        assert (grid[top : top + 8, left : left + 6] == index + 1).all()
    assert grid.astype(int).sum() == 4 * 12 * (1 + 2 + 3 + 4 + 5)


def test_a_png_is_read_back_as_it_was(tmp_path):
    samples = np.random.default_rng(0).uniform(-1, 1, [16, 28, 28, 1])
    grid = images.write_samples(tmp_path / "grid.png", samples)
    assert grid.shape == (366, 366)
    np.testing.assert_array_equal(images.read_png(tmp_path / "grid.png"), grid)


def test_a_caption_is_below_the_image():
    pixels = np.full([50, 120], 7, np.uint8)
    captioned = images.with_caption(pixels, "epoch 7")
    np.testing.assert_array_equal(captioned[:50], pixels)
    assert captioned[50:].max() == 255
    assert (captioned != images.with_caption(pixels, "epoch 8")).any()


def test_a_gif_of_one_frame_is_held(tmp_path):
    images.write_gif(tmp_path / "still.gif", [np.zeros([10, 20], np.uint8)], 120, 900)
    with Image.open(tmp_path / "still.gif") as still:
        assert (still.n_frames, still.info["duration"], still.info["loop"]) == (1, 900, 0)
