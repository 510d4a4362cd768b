"""Data sets of TensorFlow Datasets (TFDS), which prepares them once on this machine's disk."""

import contextlib
import hashlib
import json
import logging
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import portalocker

from gan_tf.config import DATASETS, TrainConfig
from gan_tf.system import console, files
from gan_tf.system.errors import UserError, one_line

SHAPE = (28, 28, 1)
_NETWORK_SECONDS = 10  # how long to wait for a server
_BATCH = 1000  # records that are read at once


def data_dir(config: TrainConfig) -> Path:
    """Returns the folder of the prepared data: `data_dir`, or the default of TFDS.

    Raises:
      UserError: the path starts at the home folder, and there is none.
    """
    folder = config.data_dir
    if folder is None:
        import tensorflow_datasets as tfds

        folder = tfds.core.constants.DATA_DIR
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        raise UserError(f"no home folder for {folder}: choose a folder with `data_dir`") from None


def prepare(config: TrainConfig):
    """Prepares a data set on this machine's disk if necessary, and returns its TFDS builder.

    Args:
      config: `dataset`, `data_dir`, and `manual_dir` if the data set is not prepared yet.

    Raises:
      UserError: the data set does not exist, is not available, or is damaged.
    """
    import tensorflow_datasets as tfds  # not at the top: synthetic images do not need it
    from google.protobuf import json_format  # a part of TensorFlow

    logging.getLogger("absl").setLevel(logging.ERROR)  # TFDS warns about its own internals
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    folder = data_dir(config) / config.dataset.partition(":")[0]
    try:
        builder, prepared = _find(config, tfds)
        if not prepared:
            _check_sources(builder, config.manual_dir)
            with _locked(Path(builder.data_dir).parent):
                builder, prepared = _find(config, tfds)  # another process may have prepared it
                if not prepared:
                    options = tfds.download.DownloadConfig(manual_dir=config.manual_dir)
                    builder.download_and_prepare(download_config=options)
    except json_format.ParseError as error:
        raise UserError(_why_unreadable(folder, error)) from error
    except (tfds.download.DownloadError, ConnectionError, OSError) as error:
        raise UserError(f"cannot prepare {config.dataset}: {one_line(error)}") from error
    return builder


def read_split(builder, split: str, names: list[str]) -> list[np.ndarray]:
    """Reads a split in any file format of TFDS, in the order in which it is stored.

    Args:
      builder: from `prepare`.
      split: "train" or "test".
      names: names of the features to read.

    Returns:
      An array `[count, ...]` for each feature.

    Raises:
      UserError: the data has no such split or feature, or cannot be read.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds

    info = builder.info
    if split not in info.splits or not {*names} <= {*info.features}:
        raise UserError(f"{builder.name} has no {split} split with {' and '.join(names)}")
    try:
        if info.file_format == tfds.core.FileFormat.ARRAY_RECORD:  # `as_dataset` cannot read it
            raw = tfds.decode.DeserializeMethod.RAW_BYTES
            records = builder.as_data_source(split, deserialize_method=raw)
            records = tf.data.Dataset.from_tensor_slices(
                records.__getitems__(range(len(records)))  # one by one would take minutes
            )
            examples = records.map(info.features.deserialize_example, tf.data.AUTOTUNE)
        else:
            examples = builder.as_dataset(
                split=split,
                decoders=tfds.decode.PartialDecoding(dict.fromkeys(names, True)),
                read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
            )
        features = examples.map(lambda example: [example[name] for name in names])
        batches = features.batch(_BATCH).as_numpy_iterator()
        return [np.concatenate(arrays) for arrays in zip(*batches)]
    except (NotImplementedError, ImportError, OSError, tf.errors.PermissionDeniedError) as error:
        raise UserError(f"cannot read {builder.data_dir}: {one_line(error)}") from error
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise UserError(f"{_damaged(builder.data_dir)} ({one_line(error)})") from error


def _find(config, tfds):
    """Returns the builder of a data set, and whether its data is prepared."""
    builder = _builder(config, tfds)
    info = Path(builder.data_dir, tfds.core.constants.DATASET_INFO_FILENAME)
    if info.exists():
        return _builder(config, tfds), True  # the first one may not have seen the data yet
    if info.parent.exists() and not info.exists():
        raise UserError(f"{_damaged(info.parent)} ({info.name} is missing)")
    return builder, False


def _builder(config, tfds):
    try:
        builder = tfds.builder(config.dataset, data_dir=config.data_dir)
    except AssertionError as error:  # the version does not exist; the message lists the others
        reason = str(error).rpartition('": ')[2]
        raise UserError(f"`dataset` {config.dataset!r} does not exist: {reason}") from error
    except (ImportError, AttributeError, ValueError, TypeError, RuntimeError) as error:
        raise UserError(
            f"`dataset` {config.dataset!r} is neither a folder of pictures nor a data set of"
            f" TensorFlow Datasets: choose {', '.join(DATASETS)}, or a folder"
        ) from error
    features = builder.info.features
    image = features["image"] if features is not None and "image" in features else None
    if image is None or tuple(image.shape) != SHAPE:
        shape = "no images" if image is None else f"images of {image.shape}"
        raise UserError(f"`dataset` {config.dataset} has {shape}, but must have 28 x 28 x 1")
    return builder


@contextlib.contextmanager
def _locked(folder):
    """Lets one process at a time prepare a data set."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / ".gan_tf.lock", "a", encoding="ascii") as file:
            try:
                portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
            except portalocker.AlreadyLocked:
                console.say(f"waiting for another process that prepares {folder}")
                portalocker.lock(file, portalocker.LOCK_EX)
            yield
    except portalocker.LockException:  # the file system has no locks
        yield


def _check_sources(builder, manual_dir):
    """Raises UserError at once for what TFDS would report after minutes, or in many lines."""
    if manual_dir is not None and not Path(manual_dir).is_dir():
        raise UserError(f"`manual_dir` {manual_dir} is not a folder")
    missing = []
    for url, published in builder.url_infos.items():
        path = Path(manual_dir or "", published.filename)
        if manual_dir is None or not path.exists():
            missing.append((url, published.filename))
        elif not _is_whole(path, published):
            raise UserError(f"{path} is damaged (wrong checksum): download it again from {url}")
    if missing and not _answers(missing[0][0]):
        source = missing[0][0].rpartition("/")[0]
        names = ", ".join(name for _, name in missing)
        if manual_dir is None:
            target = "a folder and name it with `manual_dir`"
        else:
            target = f"`manual_dir` {manual_dir}, where they are missing"
        raise UserError(
            f"{builder.name} is not on this machine and {source} does not answer: connect to the"
            f" network, or put {names} from there into {target}, or try `dataset` synthetic, which"
            " needs no download"
        )


def _is_whole(path, published):
    if not path.is_file() or path.stat().st_size != int(published.size):
        return False  # not read: a pipe would never end, and another file may fill the memory
    return hashlib.sha256(path.read_bytes()).hexdigest() == published.checksum


def _answers(url):
    """Returns whether a server can be reached, soon even if the name look-up hangs."""
    answers = []

    def ask():
        request = urllib.request.Request(url, method="HEAD")
        with contextlib.suppress(OSError):
            try:
                urllib.request.urlopen(request, timeout=_NETWORK_SECONDS).close()
            except urllib.error.HTTPError:
                pass  # a refusal is an answer too, which TFDS will report
            answers.append(True)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_NETWORK_SECONDS)
    return bool(answers)


def _why_unreadable(folder, error):
    """Returns the message for a data set that TFDS cannot read; other versions may be readable."""
    for path in sorted(folder.rglob("dataset_info.json")):
        try:
            json.loads(files.read_text(path))
        except ValueError:
            return f"{_damaged(path.parent)} ({one_line(error)})"
    return (
        f"{folder} was prepared by another version of TensorFlow Datasets ({one_line(error)}):"
        " install that version, or choose another `data_dir`"
    )


def _damaged(folder):
    return f"prepared data is damaged: delete {folder} and run the command again"
