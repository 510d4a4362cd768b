"""Training images from a folder of pictures."""

import collections
import contextlib
import hashlib
import io
import os
import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from gan_tf.system import console, files
from gan_tf.system.errors import UserError, one_line

SIDE = 28
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
_MAX_FILE_BYTES = 2**28
_MAX_PIXELS = 10**8  # a larger picture is a mistake, or an attempt to fill the memory
_MAX_CACHE_BYTES = 2**32  # five million images
_MAX_NAMED = 3  # files in a warning
_CONVERSION = 2  # to be raised whenever the same pictures would become other training images
_DIGEST = hashlib.sha256().digest_size
_TOO_LARGE = f"has more than {_MAX_PIXELS:,} pixels"
_PNG_DEPTH = 24  # position of the byte for the bits per channel
_EXIF = b"Exif\0\0"
_ORIENTATION = ExifTags.Base.Orientation


def load_image_folder(folder, invert: bool, cache_dir) -> np.ndarray:
    """Reads the pictures in a folder and its subfolders as training images.

    Each picture is converted to grey, cropped to its centre square, and resized with antialiasing.
    Transparent parts become background. Only the first frame of an animation is used.

    Args:
      folder: contains PNG, JPEG, GIF, BMP and WebP files, recognised by their content. Hidden files
        and the folders of runs are ignored; a folder that is linked several times is read once.
      invert: whether the pictures are dark on white; training images are light on black.
      cache_dir: folder for a cache of the converted images, by the SHA-256 of their files; or None.

    Returns:
      `[count, 28, 28, 1]` uint8 in [0, 255], sorted by SHA-256, so that no number of a run depends
      on file names or on the file system.

    Raises:
      UserError: the folder cannot be read, or contains no picture.
    """
    paths, left_out = _find_files(folder)
    cache_path, cached = None, {}
    if cache_dir is not None:
        key = hashlib.sha256(repr((_CONVERSION, invert, os.path.realpath(folder))).encode())
        cache_path = Path(cache_dir, f"pictures-{key.hexdigest()[:32]}")
        cached = _read_cache(cache_path)
    images = {}  # by the SHA-256 of the file
    copies: collections.Counter[bytes] = collections.Counter()
    for path in console.bar(paths, "pictures"):
        try:
            content = files.read_bytes(path, _MAX_FILE_BYTES)
            digest = hashlib.sha256(content).digest()
            if digest not in images:
                images[digest] = cached[digest] if digest in cached else _convert(content, invert)
            copies[digest] += 1
        except UnidentifiedImageError:
            left_out[path] = "is not a picture"
        except UserError as error:
            left_out[path] = str(error)
        except Exception as error:  # a damaged file may raise anything
            left_out[path] = getattr(error, "strerror", None) or one_line(error)
    reasons = "; ".join(f"{path}: {why}" for path, why in sorted(left_out.items())[:_MAX_NAMED])
    if len(left_out) > _MAX_NAMED:
        reasons += f", and {len(left_out) - _MAX_NAMED} more"
    if not images:
        raise UserError(f"`dataset` {folder} contains no picture ({reasons or 'it is empty'})")
    if cache_path is not None and images.keys() != cached.keys():
        rows = b"".join(digest + image.tobytes() for digest, image in images.items())
        files.keep_checked(cache_path, rows)
    if left_out:
        count = len(left_out) + copies.total()
        warnings.warn(f"{len(left_out)} of {count} are left out of the training images: {reasons}")
    return np.array([images[digest] for digest in sorted(copies.elements())])[..., None]


def _find_files(folder):
    """Returns the files in a folder and its subfolders, and a dict from omitted paths to reasons.

    Hidden files are ignored, as many programs create them.
    """

    def refuse(error):
        raise UserError(f"cannot read {error.filename}: {error.strerror}") from error

    paths, left_out, seen = [], {}, set()
    for parent, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        real_path = os.path.realpath(parent)
        if "config.json" in names and {"checkpoints", "snapshots"} & {*folders}:
            left_out[Path(parent)] = "is the folder of a run"
            folders.clear()
        elif real_path in seen:  # reached through a link, which may form a circle
            folders.clear()
        else:
            folders[:] = [name for name in folders if not name.startswith(".")]
            paths += [Path(parent, name) for name in names if not name.startswith(".")]
        seen.add(real_path)
    return paths, left_out


def _read_cache(path):
    """Returns the cached images by SHA-256; none if the cache is damaged."""
    rows = files.read_checked(path, _MAX_CACHE_BYTES)
    if rows is None or len(rows) % (_DIGEST + SIDE**2):
        return {}
    table = np.frombuffer(rows, np.uint8).reshape(-1, _DIGEST + SIDE**2)
    return {row[:_DIGEST].tobytes(): row[_DIGEST:].reshape(SIDE, SIDE) for row in table}


def _convert(content, invert):
    """Returns the picture in the content of a file as `[28, 28]` uint8."""
    background = 255 if invert else 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings repeat ours, or are irrelevant
        picture = _open(content)
        if picture.width * picture.height > _MAX_PIXELS:
            raise UserError(_TOO_LARGE)
        picture.load()
    exif = picture.info.get("exif", content)
    transparent = picture.info.get("transparency")
    if picture.mode.startswith("I"):  # 16 bits per pixel, which Pillow would clip at 255
        deep = np.asarray(picture)
        levels = np.where(deep == transparent, background, deep // 257)
        grey = Image.fromarray(levels.astype(np.uint8))
    else:
        if picture.format == "PNG" and picture.mode in ("L", "RGB") and transparent is not None:
            # Pillow converts the pixels to 8 bits, but not the transparent colour.
            depth, levels = content[_PNG_DEPTH], np.atleast_1d(transparent)
            levels = levels >> 8 if depth == 16 else levels * 255 // (2**depth - 1)
            picture.info["transparency"] = (
                (*levels.tolist(),) if len(levels) > 1 else int(levels[0])
            )
        elif picture.format == "BMP" and picture.getextrema()[3:] == ((0, 0),):
            picture = picture.convert("RGB")  # alpha was never set, and viewers ignore it
        backdrop = Image.new("RGBA", picture.size, (background,) * 3)
        grey = Image.alpha_composite(backdrop, picture.convert("RGBA")).convert("L")
    grey.getexif()[_ORIENTATION] = _orientation(exif)
    grey = ImageOps.exif_transpose(grey)
    side = min(grey.size)
    left, top = (grey.width - side) // 2, (grey.height - side) // 2
    square = grey.crop((left, top, left + side, top + side))
    pixels = np.asarray(square.resize([SIDE, SIDE], Image.Resampling.LANCZOS))
    return 255 - pixels if invert else pixels


def _open(content):
    try:
        return Image.open(io.BytesIO(content), formats=_FORMATS)
    except Image.DecompressionBombError:
        raise UserError(_TOO_LARGE) from None
    except UnidentifiedImageError:  # an invalid resolution in the EXIF is a sufficient cause
        without_exif = content.replace(_EXIF, bytes(len(_EXIF)), 1)
        return Image.open(io.BytesIO(without_exif), formats=_FORMATS)


def _orientation(exif):
    """Returns the orientation in EXIF data, which is 1 for upright pictures.

    Pillow would stop at the first invalid entry, even if another one holds the orientation.
    """
    tiff = exif.split(_EXIF, 1)[-1]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1  # no EXIF data
    with contextlib.suppress(struct.error):  # truncated
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for position in range(start + 2, start + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, position)
            if tag == _ORIENTATION:
                return value
    return 1
