"""Any folder of pictures as training images."""

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
_MOST_BYTES = 2**28  # of one file
_MOST_PIXELS = 10**8  # of one picture; more is a mistake, or meant to fill the memory
_MOST_KEPT = 2**32  # bytes, of five million images
_NAMED = 3  # files in a warning
_RECIPE = 2  # goes up when the same pictures would become other training images
_DIGEST = hashlib.sha256().digest_size
_TOO_LARGE = f"has more than {_MOST_PIXELS:,} pixels"
_PNG_DEPTH = 24  # where a PNG says how many bits a channel has
_EXIF = b"Exif\0\0"
_ORIENTATION = ExifTags.Base.Orientation


def load_image_folder(folder, invert: bool, cache_dir) -> np.ndarray:
    """Reads every picture in a folder and its subfolders as a training image.

    A picture is made grey, its centre square is cut out and resized with antialiasing. What is
    transparent becomes ground. Of an animation the first frame counts.

    Args:
      folder: PNG, JPEG, GIF, BMP and WebP files, recognised by their content. Hidden files and the
        folders of runs are passed over; a linked folder counts once.
      invert: whether the pictures are dark on white; training images are light on black.
      cache_dir: folder in which the images are kept for the next time, each under the SHA-256 of
        the file that it was made of; or None.

    Returns:
      `[count, 28, 28, 1]` uint8 in [0, 255], in the order of those SHA-256, so that neither names
      nor the file system decide any number of a run.

    Raises:
      UserError: the folder cannot be read, or holds no picture.
    """
    paths, left_out = _find_files(folder)
    cache = None
    if cache_dir is not None:
        place = hashlib.sha256(repr((_RECIPE, invert, os.path.realpath(folder))).encode())
        cache = Path(cache_dir, f"pictures-{place.hexdigest()[:32]}")
    kept = _read_cache(cache)
    images, keys = {}, []  # the SHA-256 of each file
    for path in console.bar(paths, "pictures"):
        try:
            content = files.read_bytes(path, _MOST_BYTES)
            key = hashlib.sha256(content).digest()
            if key not in images:
                images[key] = kept[key] if key in kept else _convert(content, invert)
            keys.append(key)
        except UnidentifiedImageError:
            left_out[path] = "is no picture"
        except UserError as error:
            left_out[path] = str(error)
        except Exception as error:  # a stranger's file may raise anything
            left_out[path] = getattr(error, "strerror", None) or one_line(error)
    reasons = "; ".join(f"{path}: {why}" for path, why in sorted(left_out.items())[:_NAMED])
    if len(left_out) > _NAMED:
        reasons += f", and {len(left_out) - _NAMED} more"
    if not images:
        raise UserError(f"`dataset` {folder} holds no picture ({reasons or 'it is empty'})")
    if cache is not None and images.keys() != kept.keys():
        rows = b"".join(key + image.tobytes() for key, image in images.items())
        files.keep_checked(cache, rows)
    ordered = [images[key] for key in sorted(keys)]
    if left_out:
        count = len(left_out) + len(ordered)
        warnings.warn(f"{len(left_out)} of {count} are left out of the training images: {reasons}")
    return np.array(ordered)[..., None]


def _find_files(folder):
    """Lists the files in a folder and below; and maps what is left out to the reason.

    Hidden files are passed over, as programs put them everywhere.
    """

    def refuse(error):
        raise UserError(f"cannot read {error.filename}: {error.strerror}") from error

    paths, left_out, seen = [], {}, set()
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(place)
        if "config.json" in names and {"checkpoints", "snapshots"} & {*folders}:
            left_out[Path(place)] = "is the folder of a run"
            folders.clear()
        elif real in seen:  # by way of a link, which may lead in a circle
            folders.clear()
        else:
            folders[:] = [name for name in folders if not name.startswith(".")]
            paths += [Path(place, name) for name in names if not name.startswith(".")]
        seen.add(real)
    return paths, left_out


def _read_cache(path):
    """Maps SHA-256 to image as an earlier call has kept them; after damage none is left."""
    rows = files.read_checked(path, _MOST_KEPT) if path else None
    if rows is None or len(rows) % (_DIGEST + SIDE**2):
        return {}
    table = np.frombuffer(rows, np.uint8).reshape(-1, _DIGEST + SIDE**2)
    return {row[:_DIGEST].tobytes(): row[_DIGEST:].reshape(SIDE, SIDE) for row in table}


def _convert(content, invert):
    """Returns the picture in a file of these bytes as `[28, 28]` uint8."""
    ground = 255 if invert else 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of what is left out or does not matter
        picture = _open(content)
        if picture.width * picture.height > _MOST_PIXELS:
            raise UserError(_TOO_LARGE)
        picture.load()
    exif = picture.info.get("exif", content)
    transparent = picture.info.get("transparency")
    if picture.mode.startswith("I"):  # 16 bits, of which Pillow would cut off what is bright
        deep = np.asarray(picture)
        grey = Image.fromarray(np.where(deep == transparent, ground, deep // 257).astype(np.uint8))
    else:
        if picture.format == "PNG" and picture.mode in ("L", "RGB") and transparent is not None:
            # Pillow has brought the pixels to 8 bits, but not the colour that is transparent.
            depth, levels = content[_PNG_DEPTH], np.atleast_1d(transparent)
            levels = levels >> 8 if depth == 16 else levels * 255 // (2**depth - 1)
            picture.info["transparency"] = (
                (*levels.tolist(),) if len(levels) > 1 else int(levels[0])
            )
        elif picture.format == "BMP" and picture.getextrema()[3:] == ((0, 0),):
            picture = picture.convert("RGB")  # opaque to every viewer: nobody has filled in alpha
        backdrop = Image.new("RGBA", picture.size, (ground, ground, ground))
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
    except UnidentifiedImageError:  # an odd resolution in its EXIF is enough for that
        without_exif = content.replace(_EXIF, bytes(len(_EXIF)), 1)
        return Image.open(io.BytesIO(without_exif), formats=_FORMATS)


def _orientation(exif):
    """Returns the orientation in an EXIF, whatever else is in there; 1 is upright.

    Pillow reads all of it, and stops at the first entry that makes no sense.
    """
    tiff = exif.split(_EXIF, 1)[-1]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1  # there is none
    with contextlib.suppress(struct.error):  # it is cut off
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for place in range(start + 2, start + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, place)
            if tag == _ORIENTATION:
                return value
    return 1
