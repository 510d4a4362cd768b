import dataclasses
import io
import os
import shutil
import struct
import warnings
import zlib

import numpy as np
import pytest
from helpers import flip_a_bit, truncate
from PIL import Image

from gan_tf import TrainConfig, UserError
from gan_tf.data import load_images
from gan_tf.data.image_folder import load_image_folder
from gan_tf.run.rundir import RunDir
from gan_tf.system import console


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
    config = TrainConfig(dataset=folder, data_dir=tmp_path / "data")
    images = load_images(config)
    assert images.shape == (5, 28, 28, 1) and images.dtype == np.uint8
    assert as_set(images) == as_set(arrays)
    shutil.copy(folder / "a.png", folder / "again.png")  # equal pictures all count
    inverted = load_images(dataclasses.replace(config, invert=True))
    assert as_set(inverted) == as_set(255 - arrays[[0, *range(5)]])


def test_order_and_bits_do_not_depend_on_names_folders_or_the_cache(pictures, tmp_path):
    folder, _ = pictures
    images = load(folder, tmp_path)
    np.testing.assert_array_equal(load(folder, tmp_path), images)  # from the cache
    for number, path in enumerate(sorted(folder.rglob("*.*"), reverse=True)):
        os.makedirs(tmp_path / "moved" / str(number % 2), exist_ok=True)
        shutil.copy(path, tmp_path / "moved" / str(number % 2) / f"{number}.dat")
    np.testing.assert_array_equal(load(tmp_path / "moved", tmp_path / "fresh"), images)


@pytest.mark.parametrize("damage", [truncate, flip_a_bit])
def test_the_cache_is_all_that_is_written_and_a_damaged_one_is_made_again(
    pictures, tmp_path, damage
):
    folder, _ = pictures
    before = sorted(folder.rglob("*"))
    images = load(folder, tmp_path)
    (cache,) = (tmp_path / "cache").iterdir()
    assert sorted(folder.rglob("*")) == before
    whole = cache.read_bytes()
    damage(cache)
    np.testing.assert_array_equal(load(folder, tmp_path), images)
    assert cache.read_bytes() == whole


def test_a_cache_that_cannot_be_written_costs_time_only(pictures, tmp_path):
    folder, arrays = pictures
    (tmp_path / "cache").touch()  # where a folder should be
    with pytest.warns(UserWarning, match="cannot write to .*cache"):
        assert as_set(load(folder, tmp_path)) == as_set(arrays)
    with pytest.warns(
        UserWarning, match="converted again for every run: no home folder for ~nobody"
    ):
        images = load_images(TrainConfig(dataset=folder, data_dir="~nobody of this name/data"))
    assert as_set(images) == as_set(arrays)
    assert not (tmp_path / "~nobody of this name").exists()


def test_what_cannot_be_read_for_a_moment_counts_again(pictures, tmp_path, monkeypatch):
    """A picture disappears, and one changes, between the listing and the reading."""
    folder, arrays = pictures
    bar = console.bar

    def load_during(event):
        monkeypatch.setattr(console, "bar", lambda *arguments: event() and bar(*arguments))
        images = load(folder, tmp_path)
        monkeypatch.setattr(console, "bar", bar)
        return as_set(images)

    away = tmp_path / "away"
    with pytest.warns(UserWarning, match="1 of 5 are left out .*a.png: No such file"):
        assert load_during(lambda: shutil.move(folder / "a.png", away)) == as_set(arrays[1:])
    changed = load_during(lambda: shutil.copy(away, folder / "b.bmp"))
    assert changed == as_set([arrays[0], *arrays[2:]])
    os.rename(away, folder / "a.png")
    write(folder / "b.bmp", arrays[1, ..., 0])
    assert as_set(load(folder, tmp_path)) == as_set(arrays)


def test_the_centre_square_is_resized_with_antialiasing(tmp_path):
    """A wide picture with bright ends, which are cropped, and a fine chessboard in the middle."""
    wide = np.full([280, 600], 255)
    wide[:, 160:440] = 255 * (np.indices([280, 280]).sum(axis=0) % 2)
    write(tmp_path / "mine" / "wide.png", wide)
    (image,) = load(tmp_path / "mine", tmp_path)
    assert np.abs(image.astype(int) - 127).max() <= 2


def test_colours_become_grey_and_transparent_parts_become_background(tmp_path):
    colours = np.zeros([28, 28, 4])
    colours[:14, :, 0] = 255  # red above, transparent below
    colours[:14, :, 3] = 255
    write(tmp_path / "mine" / "red.png", colours)
    (image,) = load(tmp_path / "mine", tmp_path)
    assert set(np.unique(image[:13])) == {76}  # 0.299 * 255, the weight of red in ITU-R 601
    assert set(np.unique(image[15:])) == {0}
    (inverted,) = load(tmp_path / "mine", tmp_path, invert=True)
    assert set(np.unique(inverted[:13])) == {255 - 76}
    assert set(np.unique(inverted[15:])) == {0}


def test_16_bits_per_pixel(tmp_path):
    ramp = np.repeat(np.arange(28, dtype=np.uint16)[None] * 2400, 28, axis=0)
    (tmp_path / "deep").mkdir()
    Image.fromarray(ramp).save(tmp_path / "deep" / "deep.png")
    (image,) = load(tmp_path / "deep", tmp_path)
    np.testing.assert_array_equal(image[..., 0], ramp // 257)


def chunk(name, content):
    framed = name + content
    return struct.pack(">I", len(content)) + framed + struct.pack(">I", zlib.crc32(framed))


LEVELS = np.array([250, 128, 5] * 9 + [250], ">u2") * 257


@pytest.mark.parametrize(
    "depth, colour_type, row, transparent, shown",
    [
        (16, 0, LEVELS, [250 * 257], [128, 5]),
        (16, 2, np.repeat(LEVELS, 3), [250 * 257] * 3, [128, 5]),
        (4, 0, np.array([0xF8, 0x0F, 0x80] * 4 + [0xF8, 0x0F], np.uint8), [15], [8 * 17, 0]),
    ],
)
def test_the_transparent_colour_of_a_png_is_ground_at_every_depth(
    tmp_path, depth, colour_type, row, transparent, shown
):
    """Pillow converts the pixels to 8 bits, but not that colour."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 28, 28, depth, colour_type, 0, 0, 0))
        + chunk(b"tRNS", np.array(transparent, ">u2").tobytes())
        + chunk(b"IDAT", zlib.compress((b"\0" + row.tobytes()) * 28))
        + chunk(b"IEND", b"")
    )
    (image,) = load(tmp_path / "mine", tmp_path)
    np.testing.assert_array_equal(image[:, :3, 0], [[0, *shown]] * 28)
    (inverted,) = load(tmp_path / "mine", tmp_path, invert=True)
    np.testing.assert_array_equal(inverted[:, :3, 0], [[0, *(255 - np.array(shown))]] * 28)


def test_a_bitmap_whose_alpha_nobody_has_filled_in_is_opaque(tmp_path):
    levels = np.arange(28, dtype=np.uint8) * 9
    pixels = np.stack([levels, levels, levels, np.zeros_like(levels)], axis=1).tobytes() * 28
    header = struct.pack("<IiiHHIIiiII", 108, 28, 28, 1, 32, 3, len(pixels), 2835, 2835, 0, 0)
    header += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.bmp").write_bytes(
        b"BM" + struct.pack("<IHHI", 122 + len(pixels), 0, 0, 122) + header + pixels
    )
    (image,) = load(tmp_path / "mine", tmp_path)
    np.testing.assert_array_equal(image[..., 0], [levels] * 28)


UPRIGHT = np.outer(np.arange(1, 29), np.ones(28)) * 3 + np.arange(28) * 5  # no symmetry


@pytest.mark.parametrize("name, options", [("a.png", {}), ("a.webp", {"lossless": True})])
def test_a_turned_camera(tmp_path, name, options):
    exif = Image.Exif()
    exif[0x0112] = 6
    write(tmp_path / "mine" / name, UPRIGHT, exif=exif, **options)
    (image,) = load(tmp_path / "mine", tmp_path)
    np.testing.assert_array_equal(image[..., 0], np.rot90(UPRIGHT, -1))


@pytest.mark.parametrize(
    "entry",
    [
        (0x011A, 10, 1, 50),  # a resolution of -1/0
        (0x011A, 1, 1, 72),  # a resolution in a byte: Pillow rejects the whole picture
        (0x011A, 2, 3, 0x00003237),  # a resolution in letters
        (0x0100, 2, 3, 0x00003832),  # a width in letters
        (0x0100, 4, 9, 2**31),  # a width at an offset outside: Pillow reads no further
    ],
)
def test_nothing_in_an_exif_decides_but_the_orientation(tmp_path, entry):
    entries = sorted([entry, (0x0112, 3, 1, 6), (0x0128, 3, 1, 2)])
    tiff = b"II*\0" + struct.pack("<IH", 8, 3) + b"".join(struct.pack("<HHII", *e) for e in entries)
    payload = b"Exif\0\0" + tiff + struct.pack("<Iii", 0, -1, 0)
    jpeg = io.BytesIO()
    Image.fromarray(UPRIGHT.astype(np.uint8)).save(jpeg, "JPEG", quality=95)
    marker = b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.jpg").write_bytes(b"\xff\xd8" + marker + jpeg.getvalue()[2:])
    (image,) = load(tmp_path / "mine", tmp_path)
    np.testing.assert_allclose(image[..., 0], np.rot90(UPRIGHT, -1), atol=4)


def test_linked_folders_count_once_and_runs_do_not(pictures, tmp_path):
    folder, arrays = pictures
    os.rename(folder / "sub", tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", folder / "link", target_is_directory=True)
    os.symlink(folder, folder / "link" / "circle", target_is_directory=True)
    os.symlink(tmp_path / "elsewhere", folder / "again", target_is_directory=True)
    (folder / "runs" / "mine" / "checkpoints").mkdir(parents=True)
    write(folder / "runs" / "mine" / "samples" / "epoch_0001.png", arrays[0, ..., 0])
    (folder / "runs" / "mine" / "config.json").touch()
    with pytest.warns(UserWarning, match="^1 of 6 .*/runs/mine: is the folder of a run$"):
        assert as_set(load(folder, tmp_path)) == as_set(arrays)


def test_what_is_left_out_is_counted_and_named_in_one_warning(pictures, tmp_path):
    folder, arrays = pictures
    Image.new("1", [10_500, 10_000]).save(folder / "a large.png")  # Pillow warns
    Image.new("1", [20_000, 20_000]).save(folder / "a very large.png")  # Pillow refuses
    (folder / "aa notes.txt").write_text("mine")
    whole = (folder / "a.png").read_bytes()
    (folder / "sub" / "cut.png").write_bytes(whole[: len(whole) // 2])
    os.mkfifo(folder / "pipe.png")
    (folder / ".hidden.txt").write_text("of the system")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        images = load(folder, tmp_path)
    assert as_set(images) == as_set(arrays)
    (warning,) = warned
    large = "has more than 100,000,000 pixels"
    assert str(warning.message) == (
        f"5 of 10 are left out of the training images: {folder}/a large.png: {large};"
        f" {folder}/a very large.png: {large}; {folder}/aa notes.txt: is not a picture, and"
        " 2 more"
    )


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    for reason in ["it is empty", "notes.txt: is not a picture"]:
        with pytest.raises(UserError, match=f"mine contains no picture .*{reason}"):
            load(tmp_path / "mine", tmp_path)
        (tmp_path / "mine" / "notes.txt").write_text("mine")


@pytest.mark.filterwarnings("ignore:1 of 6 are left out")
def test_a_run_inside_its_pictures_resumes_under_any_name_of_the_folder(
    pictures, tmp_path, in_process, monkeypatch
):
    """The content of the folder decides, and its name does not."""

    def train(dataset, run_dir, epochs):
        flags = [f"--run-dir={run_dir}", f"--epochs={epochs}", "--batch-size=5"]
        where = [f"--dataset={dataset}", f"--data-dir={tmp_path / 'data'}"]
        return in_process("train", *flags, *where)

    folder, _ = pictures
    monkeypatch.chdir(folder)
    assert train(".", "run", 1).returncode == 0
    monkeypatch.chdir(tmp_path)
    os.rename("mine", "moved")
    run = RunDir(tmp_path / "moved" / "run")
    history = run.read_history()
    assert [row["step"] for row in history] == [1]
    resumed = train("moved/", "moved/run", 1)
    assert resumed.returncode == 0 and resumed.stdout.startswith("moved/run is complete:\n")
    assert run.read_history() == history
    shutil.copy("moved/a.png", "moved/b.bmp")
    refused = train("./moved", run.path, 2)
    assert refused.returncode == 2 and "--dataset ./moved are not those that" in refused.stderr
    assert run.read_history() == history
