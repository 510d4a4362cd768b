import dataclasses

import imageio.v3 as imageio
import numpy as np
import pytest
from helpers import refusal
from PIL import Image

from gan_tf import UserError, load_snapshot, write_neighbours
from gan_tf.data import checksum, load_images, scaled
from gan_tf.evaluation.neighbours import neighbours_grid
from gan_tf.run.images import PANEL_GAP, read_png
from gan_tf.run.rundir import RunDir

CELL = 30 * 3  # pixels of an image and its gap, enlarged
CAPTION = 24


def images_of(panel, columns):
    """Cuts a panel without its caption into the images of each row."""
    small = panel[:-CAPTION:3, ::3]
    return [
        [small[30 * row + 2 :, 30 * column + 2 :][:28, :28] for column in range(columns)]
        for row in range(len(small) // 30)
    ]


def test_the_nearest_training_images_are_beside_each_image():
    train = np.random.default_rng(0).integers(0, 256, [40, 28, 28, 1], np.uint8)
    copies = scaled(train[[7, 3]])
    features = np.array([[0.0], [9.0]]), np.arange(40.0)[:, None]
    grid = neighbours_grid(copies, train, features)
    width = CELL + 6, 5 * CELL + 6, 5 * CELL + 6
    assert grid.shape == (2 * CELL + 6 + CAPTION, sum(width) + 2 * PANEL_GAP)
    first, second = np.cumsum(width)[:-1] + [0, PANEL_GAP]
    by_pixels, by_features = grid[:, first + PANEL_GAP :], grid[:, second + PANEL_GAP :]
    for row, index in enumerate([7, 3]):
        np.testing.assert_array_equal(images_of(grid, 1)[row][0], train[index, :, :, 0])
        np.testing.assert_array_equal(images_of(by_pixels, 5)[row][0], train[index, :, :, 0])
        distances = [
            np.linalg.norm(image.astype(float) - train[index, :, :, 0])
            for image in images_of(by_pixels, 5)[row]
        ]
        all_distances = np.linalg.norm(train.astype(float) - train[index], axis=(1, 2))[:, 0]
        np.testing.assert_allclose(distances, np.sort(all_distances)[:5])
    np.testing.assert_array_equal(images_of(by_features, 5)[0], train[:5, :, :, 0])
    assert neighbours_grid(copies, train[:3]).shape[1] == 4 * CELL + 12 + PANEL_GAP  # pixels only


def test_the_command_compares_by_pixels_and_by_features(run_copy, data_dir, in_process):
    arguments = ["neighbours", "--run-dir", run_copy, "--count=3", "--seed=2"]
    finished = in_process(*arguments, "--data-dir", data_dir)
    path = run_copy / "neighbours.png"
    assert finished.stdout == (
        f"{path}: 3 images from epoch 3, each with its nearest training images\n"
    )
    shown = read_png(path)
    assert shown.shape == (3 * CELL + 6 + CAPTION, 11 * CELL + 18 + 2 * PANEL_GAP)
    images = load_snapshot(run_copy).sample(3, seed=2)
    np.testing.assert_allclose(scaled(shown[6:90:3, 6:90:3]), images[0, :, :, 0], atol=0.01)


def test_own_pictures_are_compared_by_pixels(run_copy, tmp_path, in_process):
    folder = tmp_path / "leaves"
    folder.mkdir()
    for index, pixels in enumerate(np.random.default_rng(0).integers(0, 256, [16, 28, 28])):
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{index}.png")
    run = RunDir(run_copy)
    config, environment = run.read_config()
    changes = {"dataset": str(folder), "data_dir": tmp_path / "data", "max_images": None}
    config = dataclasses.replace(config, **changes)
    images = load_images(config)
    run.write_config(config, environment | {"images_sha256": checksum(images)})
    finished = in_process("neighbours", "--run-dir", run_copy, "--count=2")
    assert finished.returncode == 0, finished.stderr
    shown = imageio.imread(run_copy / "neighbours.png")
    assert shown.shape == (2 * CELL + 6 + CAPTION, 6 * CELL + 12 + PANEL_GAP)
    known = [imageio.imread(path) for path in folder.iterdir()]
    for row in images_of(shown[:, CELL + 6 + PANEL_GAP :], 5):
        for image in row:
            assert any(np.array_equal(image, picture) for picture in known)

    for command in [["sample", "--class=bag"], ["evaluate", "--count=1000"]]:
        message = refusal(*command, "--run-dir", run_copy, run=in_process)
        assert message.endswith(" has no test split and no classes to compare\n")
    snapshot, again = load_snapshot(run_copy), tmp_path / "again.png"
    write_neighbours(again, snapshot, count=2, images=images[..., 0])  # without the last dimension
    assert again.read_bytes() == (run_copy / "neighbours.png").read_bytes()
    (folder / "3.png").unlink()
    for changed in (None, images[1:]):
        with pytest.raises(UserError, match="are not those that the run was trained on"):
            write_neighbours(again, snapshot, images=changed)
