"""Any folder of pictures as training images."""

import hashlib
import os
import stat
import warnings
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from gan_tf.system import console, files
from gan_tf.system.errors import UserError, one_line

SIDE = 28
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
_MOST_BYTES = 2**28  # of one file
_MOST_PIXELS = 10**8  # of one picture; more is a mistake, or meant to fill the memory
_NAMED = 3  # files in a warning
_RECIPE = 1  # goes up when the same pictures would become other training images


def load_image_folder(folder, invert: bool, cache_dir) -> np.ndarray:
    """Reads every picture in a folder and its subfolders as a training image.

    A picture is made grey, its centre square is cut out and resized with antialiasing. What is
    transparent becomes ground. Of an animation the first frame counts.

    Args:
      folder: PNG, JPEG, GIF, BMP and WebP files, told by their content.
      invert: whether the pictures are dark on white; training images are light on black.
      cache_dir: folder in which the result is kept, under a name that follows from the content of
        the files alone.

    Returns:
      `[count, 28, 28, 1]` uint8 in [0, 255], in an order that follows from the content too, so that
      neither names nor the file system decide any number of a run.

    Raises:
      UserError: the folder cannot be read, or holds no picture.
    """
    paths, left_out = _hash_files(Path(folder))
    hashes = sorted(key for key, same in paths.items() for _ in same)
    key = hashlib.sha256(repr((_RECIPE, invert, hashes)).encode()).hexdigest()
    cached = Path(cache_dir, f"images-{key[:32]}.npz")
    if (found := _read_cache(cached)) is not None:
        images, damaged = found
    else:
        images, damaged = _read_pictures(paths, invert)
        with files.written_whole(cached) as unfinished:
            np.savez(unfinished, images=images, damaged=np.array(damaged, "S64"))
    for key in damaged:
        left_out |= dict.fromkeys(paths[key], "is no picture that can be read")
    if not len(images):
        reasons = "".join(f"; {path.name} {why}" for path, why in list(left_out.items())[:_NAMED])
        raise UserError(f"`dataset` {folder} holds no picture{reasons}")
    if left_out:
        named = [f"{path} {why}" for path, why in sorted(left_out.items())[:_NAMED]]
        more = f", and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
        warnings.warn(
            f"{len(left_out)} of {len(left_out) + len(images)} files are left out:"
            f" {'; '.join(named)}{more}"
        )
    return images


def _hash_files(folder):
    """Maps the SHA-256 of each regular file to its paths; and those that are not read to a reason.

    Hidden files are passed over, as programs put them everywhere.
    """
    paths, left_out = {}, {}

    def refuse(error):
        raise UserError(f"cannot read {error.filename}: {error.strerror}") from error

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(place, name) for name in sorted(names) if not name.startswith(".")):
            try:
                status = path.stat()
                if not stat.S_ISREG(status.st_mode):
                    left_out[path] = "is no file"
                elif status.st_size > _MOST_BYTES:
                    left_out[path] = f"has more than {_MOST_BYTES} bytes"
                else:
                    key = hashlib.sha256(path.read_bytes()).hexdigest()
                    paths.setdefault(key, []).append(path)
            except OSError as error:
                left_out[path] = f"cannot be read ({error.strerror})"
    return paths, left_out


def _read_cache(path):
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["images"], [key.decode() for key in arrays["damaged"]]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        warnings.warn(f"{path} is damaged, and made again ({one_line(error)})")
        return None


def _read_pictures(paths, invert):
    """Returns `[count, 28, 28, 1]` uint8 in order of the hashes, and the hashes of no pictures."""
    images, damaged = [], []
    for key in console.bar(sorted(paths), "pictures"):
        try:
            images += [_read_picture(paths[key][0], invert)] * len(paths[key])
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
            damaged.append(key)
    return np.array(images, np.uint8).reshape(-1, SIDE, SIDE, 1), damaged


def _read_picture(path, invert):
    with Image.open(path, formats=_FORMATS) as picture:
        if picture.width * picture.height > _MOST_PIXELS:
            raise ValueError(f"more than {_MOST_PIXELS} pixels")
        picture = ImageOps.exif_transpose(picture)  # as a camera was held
        if picture.mode.startswith("I"):  # 16 bits, of which Pillow would cut off what is bright
            grey = Image.fromarray((np.asarray(picture) // 257).astype(np.uint8))
        else:
            ground = Image.new("RGBA", picture.size, "white" if invert else "black")
            grey = Image.alpha_composite(ground, picture.convert("RGBA")).convert("L")
    side = min(grey.size)
    left, top = (grey.width - side) // 2, (grey.height - side) // 2
    square = grey.crop((left, top, left + side, top + side))
    pixels = np.asarray(square.resize([SIDE, SIDE], Image.Resampling.LANCZOS))
    return 255 - pixels if invert else pixels
