"""Exports a trained generator for other programs, with a note of its origin."""

import contextlib
import dataclasses
import hashlib
import importlib.util
import inspect
import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np

from gan_tf._version import __version__
from gan_tf.run.rundir import check_output
from gan_tf.system import files
from gan_tf.system.errors import UserError

# Only functions import TensorFlow, so that an export can be refused before that.
FORMATS = {"keras": ".keras", "saved-model": "", "npz": ".npz", "onnx": ".onnx"}


def export_generator(snapshot, path, format: str | None = None) -> Path:
    """Writes a trained generator so that programs without gan_tf can sample images.

    It maps `[batch, latent_dim]` float32, unit Gaussian, to `[batch, 28, 28, 1]` float32 in
    [-1, 1]. It consists of plain Keras layers in float32, and its images equal those of the
    snapshot within 1e-5. A note beside it, with .json added to its name, records the config, the
    epoch, the machine, and the SHA-256 of each file.

    Args:
      snapshot: from `load_snapshot` or `load_pretrained`.
      path: path of the file, with the suffix of the format; for "saved-model" a new folder.
      format: "keras" for `keras.models.load_model`; "saved-model" for `tf.saved_model.load` (call
        its `serve`); "onnx" for ONNX runtimes (needs the package tf2onnx); or "npz" for the weights
        as arrays, which `load_pretrained(path)` reads. There the kernels are float16, which changes
        an image by less than one of 255 grey levels. By default the suffix decides.

    Returns:
      The path.

    Raises:
      UserError: an argument is invalid, or a file is in the way; nothing was written.
      RunFailed: the disk is full; nothing was written.
    """
    from tensorflow.errors import OpError

    from gan_tf.run.checkpoints import write_failure

    format = check_export(path, format)
    path, note = Path(path), note_path(path)
    with files.written_whole(note) as unfinished_note, files.written_whole(path) as unfinished:
        try:
            _write(unfinished, snapshot, format)
        except OpError as error:
            raise write_failure(path, error) from error
        record = {
            "gan_tf": __version__,
            "origin": snapshot.origin,
            "epoch": snapshot.epoch,
            "sha256": _hashes(unfinished),
            "config": dataclasses.asdict(snapshot.config),
            "environment": snapshot.environment,
        }
        unfinished_note.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return path


def note_path(path) -> Path:
    """Returns the path of an export's note: generator.npz.json for generator.npz."""
    return Path(f"{os.fspath(path)}.json")


def check_export(path, format: str | None = None) -> str:
    """Returns the format of an export, or raises UserError if it cannot be written.

    Args:
      path, format: as for `export_generator`.
    """
    files.check_name(path)
    path = Path(path)
    formats = {suffix: name for name, suffix in FORMATS.items() if suffix}
    if format is None and path.suffix not in formats:
        raise UserError(f"`output` {path} must end in {', '.join(formats)}, or give a `format`")
    format = format or formats[path.suffix]
    if format not in FORMATS:
        raise UserError(f"`format` must be one of {', '.join(FORMATS)}, not {format!r}")
    if path.suffix != FORMATS[format] and format != "saved-model":
        raise UserError(f"`output` {path} must end in {FORMATS[format]} for `format` {format}")
    if format == "onnx" and importlib.util.find_spec("tf2onnx") is None:
        raise UserError("`format` onnx needs one more package: pip install tf2onnx")
    if format == "saved-model":
        files.check_tensorflow_name(path)
        if os.path.lexists(path):
            raise UserError(f"{path} exists: choose a new folder for `format` saved-model")
    note = note_path(path)
    for file in path, note:
        check_output(file)
        if file.exists() and not _is_note(note):
            raise UserError(f"{file} exists, and is not of an export: choose another `output`")
    return format


def _is_note(path):
    try:
        return {"gan_tf", "sha256"} <= json.loads(files.read_text(path)).keys()
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def _write(path, snapshot, format):
    from gan_tf.snapshots import named_weights

    if format == "npz":
        weights = {name: w.numpy() for name, w in named_weights(snapshot.generator).items()}
        # Vectors stay float32, since a variance may be too small for float16.
        weights |= {name: w.astype(np.float16) for name, w in weights.items() if w.ndim > 1}
        content = io.BytesIO()
        np.savez_compressed(content, **weights)
        path.write_bytes(content.getvalue())
        return
    generator = _plain_generator(snapshot)
    if format == "keras":
        generator.save(path)
        _shorten_config(path)
        return
    if format == "onnx":
        generator(np.zeros([1, *generator.input_shape[1:]], np.float32))  # Keras requires a call
    if format == "saved-model":
        path.unlink()  # it becomes a folder
    with contextlib.redirect_stdout(io.StringIO()):  # Keras prints a description
        generator.export(path, format="onnx" if format == "onnx" else "tf_saved_model")


def _plain_generator(snapshot):
    """Returns the generator in Keras's own layers, which can be loaded without gan_tf."""
    from gan_tf.models import make_generator
    from gan_tf.system import environment

    with environment.require_keras():
        plain = make_generator(snapshot.config.latent_dim)
    plain.set_weights(snapshot.generator.get_weights())
    return plain


def _shorten_config(path):
    """Removes from a .keras file what older versions of Keras 3 do not know.

    They refuse a new argument even if it has its default value. Initializers are removed too, as
    they no longer matter.
    """
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    model = json.loads(contents["config.json"])
    for layer in model["config"]["layers"]:
        layer["config"] = _without_defaults(layer["class_name"], layer["config"])
    contents["config.json"] = json.dumps(model)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def _without_defaults(class_name, config):
    from tensorflow.keras import layers

    arguments = inspect.signature(getattr(layers, class_name)).parameters
    return {
        name: value
        for name, value in config.items()
        if not name.endswith("_initializer")
        and not (name in arguments and value == arguments[name].default)
    }


def _hashes(path):
    """Returns the SHA-256 of a file, or a dict with that of each file in a folder."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    paths = sorted(path.rglob("*"))
    return {str(file.relative_to(path)): _hashes(file) for file in paths if file.is_file()}
