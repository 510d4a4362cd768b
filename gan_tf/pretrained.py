"""The generator that comes with the package: trained by a real run, kept as plain arrays.

It was made by `export("runs/fashion_mnist", WEIGHTS, epoch=50, commit=...)`.
"""

import dataclasses
import hashlib
import io
import json
from pathlib import Path

import numpy as np

from gan_tf import files
from gan_tf.config import TrainConfig
from gan_tf.errors import UserError
from gan_tf.models import make_generator
from gan_tf.rundir import RunDir
from gan_tf.sampling import Snapshot, load_snapshot, make_fixed_noise

WEIGHTS = Path(__file__).with_name("weights") / "fashion_mnist.npz"


def load_pretrained(path=WEIGHTS) -> Snapshot:
    """Restores a generator without its run: by default the one that comes with the package.

    Args:
      path: the `.npz` file of an export; its `.json` lies beside it.

    Raises:
      UserError: one of the two files is missing or damaged.
    """
    path = Path(path)
    try:
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        content = path.read_bytes()
        whole = hashlib.sha256(content).hexdigest() == record["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise UserError(
            f"{path} or the .json beside it is missing or damaged: install gan_tf again, or export"
            " it again if it is yours"
        )
    config = TrainConfig(**record["config"])
    generator = make_generator(config.latent_dim, config.fast, config.precision)
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        for name, weight in _named_weights(generator).items():
            weight.assign(arrays[name].astype(np.float32))
    fixed_noise = make_fixed_noise(config.latent_dim, config.seed)
    return Snapshot(generator, fixed_noise, f"epoch {record['epoch']} of the pretrained run")


def export(run_dir, path, epoch: int, commit: str):
    """Writes the generator of a run as NumPy arrays, and where it comes from as JSON beside them.

    Kernels become float16, half the bytes; images move by less than a grey level of 255. Vectors
    stay float32: they are few, and a variance may be too small for float16.

    Args:
      run_dir: folder of the run.
      path: the `.npz` file.
      epoch: one of the run's snapshots.
      commit: of the code that the run was made with.

    Raises:
      UserError: as for `load_snapshot`.
    """
    path = Path(path)
    config, environment = RunDir(run_dir).read_config()
    generator = load_snapshot(run_dir, epoch).generator
    weights = {name: weight.numpy() for name, weight in _named_weights(generator).items()}
    content = io.BytesIO()
    np.savez_compressed(
        content,
        **{name: w.astype(np.float16) if w.ndim > 1 else w for name, w in weights.items()},
    )
    with files.written_whole(path) as unfinished:
        unfinished.write_bytes(content.getvalue())
    record = {
        "sha256": hashlib.sha256(content.getvalue()).hexdigest(),
        "commit": commit,
        "epoch": epoch,
        "config": dataclasses.asdict(config),
        "environment": environment,
    }
    with files.written_whole(path.with_suffix(".json")) as unfinished:
        unfinished.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _named_weights(generator):
    """Maps names like "4/kernel" to weights; Keras's own layer names count up with every model."""
    return {
        f"{index}/{weight.name}": weight
        for index, layer in enumerate(generator.layers)
        for weight in layer.weights
    }
