"""Images as uint8 in memory, and batches of them as a pure function of (seed, epoch)."""

import contextlib
import hashlib
import logging
import math
import queue
import shutil
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import portalocker

from gan_tf.config import DATASETS, OWN_IMAGES, TrainConfig
from gan_tf.data import synthetic
from gan_tf.data.image_folder import load_image_folder
from gan_tf.system import console, files
from gan_tf.system.errors import UserError, one_line

_NETWORK_SECONDS = 10  # how long to wait for a server before saying that there is no network
_ABANDONED_SECONDS = 3600  # nobody prepares data without writing for so long
_SHAPE = (28, 28, 1)


def load_images(config: TrainConfig) -> np.ndarray:
    """Returns the training images of the configured data set; test images are never touched.

    Args:
      config: `dataset`, `data_dir`, `manual_dir`, `invert`, `max_images` and, for synthetic images,
        `seed`.

    Returns:
      `[count, 28, 28, 1]` uint8 in [0, 255], in the order in which TFDS stores them.

    Raises:
      UserError: the data is neither prepared nor within reach, or it is damaged; the text names
        the file or folder and what to do.
    """
    if config.dataset.startswith(OWN_IMAGES):
        raise UserError(
            f"`dataset` {config.dataset} stands for images that were handed in from Python: they"
            " are needed again, as in gan_tf.train(config, images=...)"
        )
    if config.dataset == "synthetic":
        count = min(config.max_images or math.inf, synthetic.COUNT)
        images = synthetic.synthetic_images(count, config.seed)
    elif config.has_image_folder:
        images = load_image_folder(config.dataset, config.invert, prepared_dir(config))
        return images[: config.max_images]  # inverted there
    else:
        (images,) = _read(_prepared(config), "train", ["image"])
        images = images[: config.max_images]
    return 255 - images if config.invert else images


def load_labelled(config: TrainConfig, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the images of a whole split with their classes, for evaluation.

    Args:
      config: as for `load_images`; `max_images` does not count.
      split: "train" or "test".

    Returns:
      `[count, 28, 28, 1]` uint8 in [0, 255], and `[count]` int64 from 0.

    Raises:
      UserError: as for `load_images`, or the data set has no such split or no classes.
    """
    if config.dataset == "synthetic":
        count, seed = synthetic.COUNT, config.seed
        if split == "test":
            count, seed = synthetic.TEST_COUNT, seed + synthetic.TEST_SEED
        images = synthetic.synthetic_images(count, seed)
        labels = synthetic.synthetic_labels(count, seed)
    elif config.has_image_folder or config.dataset.startswith(OWN_IMAGES):
        raise UserError(f"`dataset` {config.dataset} has no test split and no classes to compare")
    else:
        images, labels = _read(_prepared(config), split, ["image", "label"])
    return (255 - images if config.invert else images), labels


def class_names(config: TrainConfig) -> list[str]:
    """Returns the names of a data set's classes in order of their labels; as `load_labelled`."""
    if config.dataset == "synthetic":
        return list(synthetic.CLASSES)
    return list(_prepared(config).info.features["label"].names)


def prepared_dir(config: TrainConfig) -> Path:
    """Returns the folder beside TFDS's own data sets in which gan_tf keeps what it prepares."""
    if config.data_dir is not None:
        return Path(config.data_dir, "gan_tf")
    import tensorflow_datasets as tfds

    return Path(tfds.core.constants.DATA_DIR, "gan_tf")


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
        yield scaled(images[order[start : start + batch_size]])


def scaled(images: np.ndarray) -> np.ndarray:
    """Maps grey levels, uint8 in [0, 255], to float32 in [-1, 1], the range of tanh."""
    return (images.astype(np.float32) - 127.5) / 127.5


def _prepared(config):
    """Returns the TFDS builder of a data set that is prepared on this machine's disk."""
    import tensorflow_datasets as tfds  # here, as synthetic images need none of it
    from google.protobuf import json_format  # a part of TensorFlow

    logging.getLogger("absl").setLevel(logging.ERROR)  # TFDS warns about its own workings
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        builder = _builder(config, tfds)
        if not builder.is_prepared():
            if Path(builder.data_dir).exists() and not builder.is_prepared():  # not just made
                raise UserError(f"{_damaged(builder.data_dir)} (dataset_info.json is missing)")
            _check_sources(builder, config.manual_dir)
            with _alone_in(Path(builder.data_dir).parent):
                if not builder.is_prepared():
                    options = tfds.download.DownloadConfig(manual_dir=config.manual_dir)
                    builder.download_and_prepare(download_config=options)
    except json_format.ParseError as error:
        folder = Path(config.data_dir or tfds.core.constants.DATA_DIR, config.dataset)
        raise UserError(f"{_damaged(folder)} ({one_line(error)})") from error
    except (tfds.download.DownloadError, ConnectionError, OSError) as error:
        raise UserError(f"cannot prepare {config.dataset}: {one_line(error)}") from error
    return builder


def _builder(config, tfds):
    try:
        builder = tfds.builder(config.dataset, data_dir=config.data_dir)
    except (tfds.core.DatasetNotFoundError, ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"`dataset` {config.dataset!r} is neither a folder of pictures nor a data set of"
            f" TensorFlow Datasets: take {', '.join(DATASETS)}, or a folder"
        ) from error
    features = builder.info.features
    image = features["image"] if features is not None and "image" in features else None
    if image is None or tuple(image.shape) != _SHAPE:
        shape = "no images" if image is None else f"images of {image.shape}"
        raise UserError(f"`dataset` {config.dataset} has {shape}; needed are 28 x 28 x 1")
    return builder


@contextlib.contextmanager
def _alone_in(folder):
    """Lets one process at a time prepare a data set, and clears what killed ones have left."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / ".gan_tf.lock", "a", encoding="ascii") as file:
            try:
                portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
            except portalocker.AlreadyLocked:
                console.say(f"waiting for another process that prepares {folder}")
                portalocker.lock(file, portalocker.LOCK_EX)
            for path in files.entries(folder):
                if path.name.startswith("incomplete.") and _newest(path) < time.time():
                    shutil.rmtree(path)
            yield
    except portalocker.LockException:  # a file system without locks
        yield


def _newest(folder):
    """When something was last written in a folder, and an hour more."""
    return max(path.stat().st_mtime for path in [folder, *folder.rglob("*")]) + _ABANDONED_SECONDS


def _check_sources(builder, manual_dir):
    """Refuses at once what TFDS would find out after minutes, or tell in many lines."""
    if manual_dir is not None and not Path(manual_dir).is_dir():
        raise UserError(f"`manual_dir` {manual_dir} is not a folder")
    missing = []
    for url, known in builder.url_infos.items():
        path = Path(manual_dir or "", known.filename)
        if manual_dir is None or not path.exists():
            missing.append((url, known.filename))
        elif not _is_whole(path, known):
            raise UserError(f"{path} is damaged (wrong checksum): download it again from {url}")
    if missing and not _answers(missing[0][0]):
        folder = missing[0][0].rpartition("/")[0]
        names = ", ".join(name for _, name in missing)
        raise UserError(
            f"{builder.name} is not on this machine and {folder} does not answer: connect to the"
            f" network, or put {names} from there into a folder and name it with `manual_dir`,"
            " or try `dataset` synthetic, which needs no download"
        )


def _is_whole(path, known):
    if not path.is_file() or path.stat().st_size != int(known.size):
        return False  # a pipe would never end, a foreign file may be larger than the memory
    return hashlib.sha256(path.read_bytes()).hexdigest() == known.checksum


def _answers(url):
    """Tells whether a server is within reach, soon even where the name look-up hangs."""
    answers = queue.Queue()

    def ask():
        try:
            request = urllib.request.Request(url, method="HEAD")
            urllib.request.urlopen(request, timeout=_NETWORK_SECONDS).close()
        except urllib.error.HTTPError:
            pass  # a refusal is an answer too: TFDS will say more
        except OSError:
            answers.put(False)
            return
        answers.put(True)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=_NETWORK_SECONDS)
    except queue.Empty:
        return False


def _read(builder, split, features):
    """Decodes a split by the thousand: TFDS's own reader takes twice as long."""
    import tensorflow as tf

    kinds = {"image": tf.string, "label": tf.int64}

    def decode(records):
        wanted = {name: tf.io.FixedLenFeature([], kinds[name]) for name in features}
        parsed = tf.io.parse_example(records, wanted)
        parsed["image"] = tf.map_fn(tf.io.decode_png, parsed["image"], fn_output_signature=tf.uint8)
        return [parsed[name] for name in features]

    if split not in builder.info.splits or not {*features} <= {*builder.info.features}:
        raise UserError(f"{builder.name} has no {split} split with {' and '.join(features)}")
    damaged = _damaged(builder.data_dir)
    try:
        info = builder.info.splits[split]
        records = tf.data.TFRecordDataset([str(path) for path in info.filepaths])
        decoded = records.batch(1000).map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        arrays = [np.concatenate(parts) for parts in zip(*decoded.as_numpy_iterator())]
    except (KeyError, ValueError, tf.errors.OpError) as error:
        raise UserError(f"{damaged} ({type(error).__name__})") from error
    count = len(arrays[0]) if arrays else 0
    if count != info.num_examples or arrays[0].shape[1:] != _SHAPE:
        raise UserError(f"{damaged} ({count} of {info.num_examples} images)")
    return arrays


def _damaged(folder):
    return f"prepared data is damaged: delete {folder} and run the command again"
