import os
import shutil
import warnings

import numpy as np
import pytest
from PIL import Image

from gan_tf import UserError
from gan_tf.data.image_folder import load_image_folder


def write(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)


def load(folder, tmp_path, invert=False):
    return load_image_folder(folder, invert, tmp_path / "cache")


def as_set(images):
    return sorted(image.tobytes() for image in images)


@pytest.fixture
def pictures(tmp_path):
    """Five pictures of 28 x 28 in two folders, in formats that lose nothing."""
    random = np.random.default_rng(0)
    arrays = random.integers(0, 256, [5, 28, 28], np.uint8)
    names = ["a.png", "b.bmp", "sub/c.gif", "sub/d.PNG", "sub/deeper/e.webp"]
    for name, array in zip(names, arrays):
        options = {"lossless": True} if name.endswith("webp") else {}
        write(tmp_path / "mine" / name, array, **options)
    return tmp_path / "mine", arrays[..., None]


def test_pictures_of_the_right_size_come_through_as_they_are(pictures, tmp_path):
    folder, arrays = pictures
    images = load(folder, tmp_path)
    assert images.shape == (5, 28, 28, 1) and images.dtype == np.uint8
    assert as_set(images) == as_set(arrays)
    inverted = load(folder, tmp_path, invert=True)
    assert as_set(inverted) == as_set(255 - arrays)


def test_order_and_bits_do_not_depend_on_names_places_or_the_cache(pictures, tmp_path):
    folder, _ = pictures
    images = load(folder, tmp_path)
    np.testing.assert_array_equal(load(folder, tmp_path), images)  # from the cache
    for number, path in enumerate(sorted(folder.rglob("*.*"), reverse=True)):
        os.makedirs(tmp_path / "moved" / str(number % 2), exist_ok=True)
        shutil.copy(path, tmp_path / "moved" / str(number % 2) / f"{number}.dat")
    np.testing.assert_array_equal(load(tmp_path / "moved", tmp_path / "fresh"), images)


def test_the_cache_is_all_that_is_written_and_a_damaged_one_is_made_again(pictures, tmp_path):
    folder, _ = pictures
    before = sorted(folder.rglob("*"))
    images = load(folder, tmp_path)
    (cached,) = (tmp_path / "cache").iterdir()
    assert sorted(folder.rglob("*")) == before
    cached.write_bytes(cached.read_bytes()[:1000])
    with pytest.warns(UserWarning, match="images-.*.npz is damaged, and made again"):
        np.testing.assert_array_equal(load(folder, tmp_path), images)


def test_a_changed_picture_is_another_data_set(pictures, tmp_path):
    folder, arrays = pictures
    images = load(folder, tmp_path)
    write(folder / "a.png", 255 - arrays[0, ..., 0])
    assert as_set(load(folder, tmp_path)) == as_set([255 - arrays[0], *arrays[1:]])
    assert as_set(images) == as_set(arrays)


def test_equal_pictures_all_count(pictures, tmp_path):
    folder, arrays = pictures
    shutil.copy(folder / "a.png", folder / "again.png")
    assert as_set(load(folder, tmp_path)) == as_set([arrays[0], *arrays])


def test_the_centre_square_is_resized_with_antialiasing(tmp_path):
    """A wide picture: bright at both ends, which are cut off; in the middle a fine chessboard."""
    wide = np.full([280, 600], 255)
    wide[:, 160:440] = 255 * (np.indices([280, 280]).sum(axis=0) % 2)
    write(tmp_path / "mine" / "wide.png", wide)
    (image,) = load(tmp_path / "mine", tmp_path)
    assert np.abs(image.astype(int) - 127).max() <= 2


def test_colours_become_grey_and_what_is_transparent_becomes_ground(tmp_path):
    colours = np.zeros([28, 28, 4])
    colours[:14, :, 0] = 255  # red above, nothing below
    colours[:14, :, 3] = 255
    write(tmp_path / "mine" / "red.png", colours)
    (image,) = load(tmp_path / "mine", tmp_path)
    assert set(np.unique(image[:13])) == {76}  # 0.299 * 255, as ITU-R 601 weighs red
    assert set(np.unique(image[15:])) == {0}
    (inverted,) = load(tmp_path / "mine", tmp_path, invert=True)
    assert set(np.unique(inverted[:13])) == {255 - 76}
    assert set(np.unique(inverted[15:])) == {0}


def test_16_bits_and_a_turned_camera(tmp_path):
    ramp = np.repeat(np.arange(28, dtype=np.uint16)[None] * 2400, 28, axis=0)
    (tmp_path / "deep").mkdir()
    Image.fromarray(ramp).save(tmp_path / "deep" / "deep.png")
    (image,) = load(tmp_path / "deep", tmp_path)
    np.testing.assert_array_equal(image[..., 0], ramp // 257)

    turned = Image.fromarray(np.repeat(np.arange(0, 252, 9, np.uint8)[None], 28, axis=0))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees
    (tmp_path / "turned").mkdir()
    turned.save(tmp_path / "turned" / "turned.png", exif=exif)
    (image,) = load(tmp_path / "turned", tmp_path)
    assert (np.diff(image[:, 14, 0].astype(int)) > 0).all()  # the ramp runs down


def test_what_is_no_picture_is_counted_and_named_in_one_warning(pictures, tmp_path):
    folder, arrays = pictures
    (folder / "notes.txt").write_text("mine")
    (folder / "empty.png").touch()
    whole = (folder / "a.png").read_bytes()
    (folder / "sub" / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.new("1", [20_000, 20_000]).save(folder / "bomb.png")
    os.mkfifo(folder / "pipe.png")
    (folder / ".hidden.txt").write_text("of the system")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        images = load(folder, tmp_path)
    assert as_set(images) == as_set(arrays)
    (warning,) = warned
    said = str(warning.message)
    assert said.startswith("5 of 10 files are left out: ") and said.endswith("and 2 more")
    assert str(folder / "bomb.png") in said and "\n" not in said


@pytest.mark.parametrize("content", [None, "text"])
def test_a_folder_without_pictures_is_refused(tmp_path, content):
    (tmp_path / "mine").mkdir()
    if content:
        (tmp_path / "mine" / "notes.txt").write_text(content)
    with pytest.raises(UserError, match="mine holds no picture"):
        load(tmp_path / "mine", tmp_path)
