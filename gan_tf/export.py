"""A trained generator for other programs: its weights as plain arrays, and where they come from."""

import dataclasses
import hashlib
import io
import json
from pathlib import Path

import numpy as np

from gan_tf import files
from gan_tf.errors import UserError
from gan_tf.rundir import RunDir
from gan_tf.snapshots import load_snapshot, named_weights


def write_weights(run_dir, path, epoch: int, commit: str):
    """Writes the generator of a run as NumPy arrays, and where it comes from as JSON beside them.

    Kernels become float16, half the bytes; images move by less than a grey level of 255. Vectors
    stay float32: they are few, and a variance may be too small for float16. The generator that
    comes with the package was made by
    `write_weights("runs/fashion_mnist", PRETRAINED, epoch=50, commit=...)`.

    Args:
      run_dir: folder of the run.
      path: the `.npz` file.
      epoch: one of the run's snapshots.
      commit: of the code that the run was made with.

    Raises:
      UserError: as for `load_snapshot`, or the name does not end in .npz.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise UserError(f"`path` {path} must end in .npz: a .json is written beside it")
    _, environment = RunDir(run_dir).read_config()
    snapshot = load_snapshot(run_dir, epoch)
    weights = {name: weight.numpy() for name, weight in named_weights(snapshot.generator).items()}
    content = io.BytesIO()
    np.savez_compressed(
        content,
        **{name: w.astype(np.float16) if w.ndim > 1 else w for name, w in weights.items()},
    )
    record = {
        "sha256": hashlib.sha256(content.getvalue()).hexdigest(),
        "commit": commit,
        "epoch": snapshot.epoch,
        "config": dataclasses.asdict(snapshot.config),
        "environment": environment,
    }
    with files.written_whole(path) as unfinished:
        unfinished.write_bytes(content.getvalue())
    with files.written_whole(path.with_suffix(".json")) as unfinished:
        unfinished.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
