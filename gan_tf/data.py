"""Training images as uint8 in memory, and batches of them as a pure function of (seed, epoch)."""

import hashlib
import logging
import math
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from gan_tf.config import TrainConfig
from gan_tf.errors import UserError, one_line

SYNTHETIC_IMAGES = 6_000
_NETWORK_SECONDS = 10  # how long to wait for a server before saying that there is no network


def load_images(config: TrainConfig) -> np.ndarray:
    """Returns the training images of the configured data set; test images are never touched.

    Args:
      config: `dataset`, `data_dir`, `manual_dir`, `max_images` and, for synthetic images, `seed`.

    Returns:
      `[count, 28, 28, 1]` uint8 in [0, 255], in the order in which TFDS stores them.

    Raises:
      UserError: the data is neither prepared nor within reach, or it is damaged; the text names
        the file or folder and what to do.
    """
    if config.dataset == "synthetic":
        return synthetic_images(min(config.max_images or math.inf, SYNTHETIC_IMAGES), config.seed)
    return _read(_prepared(config))[: config.max_images]


def batches(images: np.ndarray, batch_size: int, seed: int, epoch: int, first: int = 0):
    """Yields one epoch: every image once, in an order that depends on `seed` and `epoch` alone.

    Args:
      images: `[count, 28, 28, 1]` uint8.
      batch_size: images per batch; the last one holds what is left.
      seed: whole number >= 0.
      epoch: whole number >= 0.
      first: how many batches to skip, for going on in mid-epoch.

    Yields:
      `[batch_size, 28, 28, 1]` float32 in [-1, 1].
    """
    order = np.random.default_rng([seed, epoch]).permutation(len(images))
    for start in range(first * batch_size, len(images), batch_size):
        chosen = images[order[start : start + batch_size]]
        yield (chosen.astype(np.float32) - 127.5) / 127.5


def _prepared(config):
    """Returns the TFDS builder of a data set that is prepared on this machine's disk."""
    import tensorflow_datasets as tfds  # here, as synthetic images need none of it
    from google.protobuf import json_format  # a part of TensorFlow

    logging.getLogger("absl").setLevel(logging.ERROR)  # TFDS warns about its own workings
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        builder = tfds.builder(config.dataset, data_dir=config.data_dir)
        if not builder.is_prepared():
            if Path(builder.data_dir).exists():
                raise UserError(f"{_damaged(builder.data_dir)} (dataset_info.json is missing)")
            _check_sources(builder, config.manual_dir)
            options = tfds.download.DownloadConfig(manual_dir=config.manual_dir)
            builder.download_and_prepare(download_config=options)
    except json_format.ParseError as error:
        folder = Path(config.data_dir or tfds.core.constants.DATA_DIR, config.dataset)
        raise UserError(f"{_damaged(folder)} ({one_line(error)})") from error
    except (tfds.download.DownloadError, ConnectionError, OSError) as error:
        raise UserError(f"cannot prepare {config.dataset}: {one_line(error)}") from error
    return builder


def _check_sources(builder, manual_dir):
    """Refuses at once what TFDS would find out after minutes, or tell in many lines."""
    if manual_dir is not None and not Path(manual_dir).is_dir():
        raise UserError(f"--manual-dir {manual_dir} is not a folder")
    missing = []
    for url, known in builder.url_infos.items():
        path = Path(manual_dir or "", known.filename)
        if manual_dir is None or not path.exists():
            missing.append((url, known.filename))
        elif hashlib.sha256(path.read_bytes()).hexdigest() != known.checksum:
            raise UserError(f"{path} is damaged (wrong checksum): download it again from {url}")
    if missing and not _answers(missing[0][0]):
        folder = missing[0][0].rpartition("/")[0]
        names = ", ".join(name for _, name in missing)
        raise UserError(
            f"{builder.name} is not on this machine and {folder} does not answer: connect to the"
            f" network, or put {names} from there into a folder and name it with --manual-dir,"
            " or try --dataset synthetic, which needs no download"
        )


def _answers(url):
    """Tells whether a server is within reach, soon even where the name look-up hangs."""
    answered = threading.Event()

    def ask():
        try:
            request = urllib.request.Request(url, method="HEAD")
            urllib.request.urlopen(request, timeout=_NETWORK_SECONDS).close()
        except urllib.error.HTTPError:
            pass  # a refusal is an answer too: TFDS will say more
        except OSError:
            done.set()
            return
        answered.set()
        done.set()

    done = threading.Event()
    threading.Thread(target=ask, daemon=True).start()
    done.wait(_NETWORK_SECONDS)
    return answered.is_set()


def _read(builder):
    """Decodes the training split by the thousand: TFDS's own reader takes twice as long."""
    import tensorflow as tf

    def decode(records):
        features = {"image": tf.io.FixedLenFeature([], tf.string)}
        encoded = tf.io.parse_example(records, features)["image"]
        return tf.map_fn(tf.io.decode_png, encoded, fn_output_signature=tf.uint8)

    damaged = _damaged(builder.data_dir)
    try:
        split = builder.info.splits["train"]
        records = tf.data.TFRecordDataset([str(path) for path in split.filepaths])
        decoded = records.batch(1000).map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        images = np.concatenate(list(decoded.as_numpy_iterator()))
    except (KeyError, ValueError, tf.errors.OpError) as error:
        raise UserError(f"{damaged} ({type(error).__name__})") from error
    if images.shape != (split.num_examples, 28, 28, 1):
        raise UserError(f"{damaged} ({len(images)} of {split.num_examples} images)")
    return images


def _damaged(folder):
    return f"prepared data is damaged: delete {folder} and run the command again"


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


def synthetic_images(count: int, seed: int) -> np.ndarray:
    """Draws garment-like silhouettes, for tests and for a first try without any download.

    Args:
      count: how many images; the first ones are the same for every count.
      seed: whole number >= 0.

    Returns:
      `[count, 28, 28, 1]` uint8 in [0, 255].
    """
    images = np.empty([count, 28, 28, 1], np.uint8)
    for index in range(count):
        random = np.random.default_rng([seed, index])
        half = np.array(random.choice(np.array(list(_OUTLINES.values()), dtype=object)))
        half = half * random.uniform(0.85, 1.05, size=2) + random.uniform(-0.04, 0.04, half.shape)
        outline = np.concatenate([half, half[::-1] * [-1, 1]]) + [1, 0]  # [2 * points, 2]
        canvas = Image.new("L", [112, 112])  # four times as large, for smooth edges
        ImageDraw.Draw(canvas).polygon([tuple(56 * point) for point in outline], fill=255)
        silhouette = np.asarray(canvas.reduce(4)) / 255  # [28, 28]
        cloth = random.uniform(90, 230) + random.normal(0, 8, [28, 28])
        images[index, :, :, 0] = np.clip(silhouette * cloth, 0, 255)
    return images
