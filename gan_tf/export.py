"""A trained generator for other programs, with a note of where it comes from."""

import dataclasses
import hashlib
import io
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from gan_tf._version import __version__
from gan_tf.models import make_generator
from gan_tf.snapshots import Snapshot, named_weights
from gan_tf.system import environment, files
from gan_tf.system.errors import UserError

FORMATS = {"keras": ".keras", "saved-model": "", "npz": ".npz", "onnx": ".onnx"}


def export_generator(snapshot: Snapshot, path, format: str = "keras") -> Path:
    """Writes a trained generator so that programs without gan_tf can draw with it.

    It maps `[batch, latent_dim]` float32, unit Gaussian, to `[batch, 28, 28, 1]` float32 in
    [-1, 1], and is made of plain Keras layers in float32: its images are those of the snapshot
    within 1e-5. Beside it, under its name and .json, stands where it comes from: config, epoch,
    machine, and the SHA-256 of each file.

    Args:
      snapshot: from `load_snapshot` or `load_pretrained`.
      path: the file, ending as the format demands; for "saved-model" a new folder.
      format: "keras" for `tf.keras.models.load_model`, "saved-model" for `tf.saved_model.load`
        (call its `serve`), "onnx" for ONNX runtimes (needs the package tf2onnx), or "npz": the
        weights as arrays, kernels in float16, half the bytes, which move an image by less than a
        grey level of 255; `load_pretrained(path)` reads it.

    Returns:
      The path.

    Raises:
      UserError: an argument does not fit, or something is in the way.
    """
    path = Path(path)
    if format not in FORMATS:
        raise UserError(f"`format` must be one of {', '.join(FORMATS)}, not {format!r}")
    if path.suffix != FORMATS[format] and format != "saved-model":
        raise UserError(f"`output` {path} must end in {FORMATS[format]} for `format` {format}")
    if format == "npz":
        with files.written_whole(path) as unfinished:
            unfinished.write_bytes(_arrays(snapshot.generator))
    elif format == "saved-model":
        _write_folder(path, _plain(snapshot))
    else:
        with files.written_whole(path) as unfinished:
            _write_model(unfinished, _plain(snapshot), format)
    record = {
        "gan_tf": __version__,
        "origin": snapshot.origin,
        "epoch": snapshot.epoch,
        "sha256": _hashes(path),
        "config": dataclasses.asdict(snapshot.config),
        "environment": snapshot.environment,
    }
    with files.written_whole(path.with_suffix(".json")) as unfinished:
        unfinished.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return path


def _plain(snapshot):
    """The generator in Keras's own layers, which need nothing of gan_tf to be loaded again."""
    with environment.require_keras():
        plain = make_generator(snapshot.config.latent_dim)
    plain.set_weights(snapshot.generator.get_weights())
    return plain


def _arrays(generator):
    weights = {name: weight.numpy() for name, weight in named_weights(generator).items()}
    content = io.BytesIO()
    np.savez_compressed(
        content,
        # Vectors stay float32: they are few, and a variance may be too small for float16.
        **{name: w.astype(np.float16) if w.ndim > 1 else w for name, w in weights.items()},
    )
    return content.getvalue()


def _write_model(path, generator, format):
    if format == "keras":
        generator.save(path)
        return
    generator(np.zeros([1, *generator.input_shape[1:]], np.float32))  # or Keras refuses
    try:
        generator.export(path, format="onnx", verbose=False)
    except ImportError as error:
        raise UserError("`format` onnx needs a package more: pip install tf2onnx") from error


def _write_folder(path, generator):
    files.check_tensorflow_name(path)
    if os.path.lexists(path):
        raise UserError(f"{path} is there already: name a new folder for `format` saved-model")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=path.parent))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    try:
        generator.export(unfinished, verbose=False)
        os.chmod(unfinished, 0o755)  # mkdtemp makes a folder for its owner alone
        os.rename(unfinished, path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _hashes(path):
    """The SHA-256 of a file, or of each file of a folder by its name."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }
