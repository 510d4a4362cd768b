"""A trained generator, loaded from a run, a file or the package, and ready to sample."""

import dataclasses
import functools
import hashlib
import io
import itertools
import json
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import tensorflow as tf

from gan_tf.config import MOST_IMAGES, TrainConfig, still_known, whole_number
from gan_tf.fast_layers import convert
from gan_tf.models import make_generator
from gan_tf.noise import make_fixed_noise, make_noise, walk
from gan_tf.run import checkpoints, images
from gan_tf.run.rundir import RunDir
from gan_tf.selection import BATCH, Selection, check_keep
from gan_tf.system import environment, files
from gan_tf.system.errors import UserError, one_line

# The generators of the package, by the recipe of their training.
PRETRAINED = {
    "homework": Path(__file__).with_name("weights") / "fashion_mnist.npz",
    "best": Path(__file__).with_name("weights") / "fashion_mnist_best.npz",
}
_FRAME_MS = 100  # per image of an animation
_LAST_IMAGE = 2**32 - 1  # that can be named; the number of its batch is part of a seed
_MOST_BYTES = 2**30  # of a file of weights; none is so large
# Errors that NumPy and Keras raise for a file with another content.
_NO_WEIGHTS = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A trained generator, and the run that it comes from.

    Attributes:
      generator: Keras model from `[batch, latent_dim]` to `[batch, 28, 28, 1]`.
      fixed_noise: `[16, latent_dim]` float32, the noise of the run's own samples.
      config: the `TrainConfig` of the run.
      environment: the versions and the machine that the run began on, as in its config.json.
      epoch: the last epoch of its training; None for a checkpoint before the first snapshot.
      origin: a description of the epoch.
    """

    generator: tf.keras.Sequential
    fixed_noise: tf.Variable
    config: TrainConfig
    environment: dict
    epoch: int | None
    origin: str

    def sample(self, count: int = 64, seed: int = 0, keep: float = 1.0) -> np.ndarray:
        """Samples new images.

        Args:
          count: how many, up to 1,000,000; the first ones are the same for every count, up to
            rounding.
          seed: seed of the noise, 0 to 2**32 - 1.
          keep: the share of images to keep, 0.05 to 1: those that change least with their noise,
            among which fewer are crosses of two garments; see `Selection`.

        Returns:
          `[count, 28, 28, 1]` float32 in [-1, 1].

        Raises:
          UserError: a number is out of range.
        """
        count = whole_number("count", count, at_least=1, at_most=MOST_IMAGES)
        seed = whole_number("seed", seed, at_least=0, at_most=2**32 - 1)
        if check_keep(keep) < 1:
            images, _ = take(self.batches(seed, keep), count)
            return images
        batches = []
        for first in range(0, count, BATCH):
            noise = self._noise(seed, first // BATCH)[: count - first]
            batches.append(generate(self.generator, noise))
        return np.concatenate(batches)

    def batches(self, seed: int = 0, keep: float = 1.0):
        """Yields the images of `sample`, without an end, and their places in all that is sampled.

        Args:
          seed, keep: as for `sample`.

        Yields:
          `[kept, 28, 28, 1]` float32 and `[kept]` int, of 256 images each.
        """
        seed = whole_number("seed", seed, at_least=0, at_most=2**32 - 1)
        keep = check_keep(keep)
        for index in itertools.count():
            noise = self._noise(seed, index)
            samples = generate(self.generator, noise)
            places = index * BATCH + np.arange(BATCH)
            if keep < 1:
                kept = self._selection.keeps(noise, samples, keep)
                samples, places = samples[kept], places[kept]
            if len(samples):
                yield samples, places

    def interpolate(self, waypoints, steps: int = 8, seed: int = 0) -> np.ndarray:
        """Samples images on the way between some images of `sample`.

        Args:
          waypoints: at least two numbers of images of `sample(count, seed)`, from 0; the way leads
            from each to the next.
          steps: images on the way from one to the next, both included; at least 2.
          seed: seed of the noise.

        Returns:
          `[len(waypoints) - 1, steps, 28, 28, 1]` float32 in [-1, 1].

        Raises:
          UserError: a number is out of range.
        """
        steps = whole_number("steps", steps, at_least=2, at_most=10_000)
        seed = whole_number("seed", seed, at_least=0, at_most=2**32 - 1)
        if not np.iterable(waypoints):
            raise UserError(f"`waypoints` must be a list of numbers of images, not {waypoints!r}")
        places = [whole_number("waypoints", place, 0, _LAST_IMAGE) for place in waypoints]
        if len(places) < 2:
            raise UserError(f"`waypoints` must be at least two numbers of images, not {places}")
        noise = [self._noise(seed, place // BATCH)[place % BATCH] for place in places]
        legs = [walk(start, end, steps) for start, end in zip(noise, noise[1:])]
        return np.stack([generate(self.generator, leg) for leg in legs])

    @functools.cached_property
    def _selection(self):
        return Selection(self.generator, self.config)

    def _noise(self, seed, batch):
        return make_noise(BATCH, self.config.latent_dim, seed, batch)

    def sample_training_noise(self) -> np.ndarray:
        """Returns the run's own samples again: `[16, 28, 28, 1]` float32 in [-1, 1]."""
        return generate(self.generator, self.fixed_noise)


def take(batches, count: int) -> tuple[np.ndarray, int]:
    """Takes the first images of `Snapshot.batches`.

    Returns:
      `[count, 28, 28, 1]` float32 in [-1, 1], and how many images were sampled to find them.
    """
    parts = []
    while count:
        samples, places = next(batches)
        parts.append(samples[:count])
        count -= len(parts[-1])
    return np.concatenate(parts), int(places[len(parts[-1]) - 1]) + 1


def generate(generator, noise) -> np.ndarray:
    """Generates images with BatchNorm in inference mode.

    Args:
      generator: Keras model from `[batch, latent_dim]` to `[batch, 28, 28, 1]`.
      noise: `[count, latent_dim]` float32.

    Returns:
      `[count, 28, 28, 1]` float32 in [-1, 1].
    """
    return generator(noise, training=False).numpy()


def load_snapshot(run_dir, epoch=None, averaged: bool = True) -> Snapshot:
    """Restores the generator of a run.

    Args:
      run_dir: folder of the run.
      epoch: one of the run's snapshots, or "best": the one with the lowest FCD; by default
        the latest one, or while there is none the newest checkpoint of the training.
      averaged: use the average of the generator's weights if the run keeps one.

    Raises:
      UserError: there is no such run or snapshot (the text lists those that exist), or it is
        damaged.
    """
    run = RunDir(run_dir)
    files.check_tensorflow_name(run.path)
    config, there = run.read_config()
    if epoch == "best":
        epoch, better = run.best_kept_epoch(), run.best_evaluated_epoch()
        if epoch is None:
            raise UserError(
                f"{run.path} knows no best `epoch`: train with `evaluate_every`, or evaluate it"
            )
        if better != epoch:
            warnings.warn(f"epoch {better} was better than epoch {epoch}, but is not kept")
    elif epoch is not None:
        epoch = whole_number("epoch", epoch, at_least=1)
    epochs, steps = run.snapshot_epochs(), run.checkpoint_steps()
    if epoch is None and epochs:
        epoch = epochs[-1]
    if epoch in epochs:
        path, origin = run.snapshot_path(epoch), f"epoch {epoch}"
    elif epoch is None and steps:
        path = run.checkpoint_path(steps[0])
        origin = f"checkpoint {path.name}"
    else:
        existing = ", ".join(map(str, epochs)) or "none yet"
        wanted = "no snapshot" if epoch is None else f"no snapshot of epoch {epoch}"
        raise UserError(f"{run.snapshots} holds {wanted}; `epoch` may be: {existing}")
    snapshot = _blank(config, there, epoch, origin, config.precision)
    name = "averaged_generator" if averaged and config.ema_decay else "generator"
    checkpoints.restore_snapshot(path, {name: snapshot.generator}, snapshot.fixed_noise)
    return snapshot


def load_pretrained(path="homework") -> Snapshot:
    """Restores a generator without its run: by default one that comes with the package.

    It computes in float32, whatever the precision of its training: few processors have
    bfloat16, and the others round it in different ways.

    Args:
      path: "homework" or "best", for 50 epochs of that recipe; or the `.npz` file of an export,
        beside which lies its note: under its name and .json, or, of gan_tf 2.0, with .json in
        place of .npz.

    Raises:
      UserError: one of the two files is missing, damaged, or of another generator.
    """
    path = Path(PRETRAINED.get(str(path), path))
    note = Path(f"{path}.json")
    if not note.exists():
        note = path.with_suffix(".json")
    again = "install gan_tf again, or export it again if it is yours"
    try:
        record = json.loads(files.read_text(note))
        config, there = TrainConfig(**still_known(record["config"])), record["environment"]
        epoch = None if record["epoch"] is None else int(record["epoch"])
        content = files.read_bytes(path, _MOST_BYTES)
        if hashlib.sha256(content).hexdigest() != record["sha256"]:
            raise ValueError("the SHA-256 of the weights is not the recorded one")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{path} or the .json beside it is missing or damaged ({one_line(error)}): {again}"
        ) from error
    origin = "a checkpoint" if epoch is None else f"epoch {epoch}"
    origin += " of the pretrained run"
    snapshot = _blank(config, there, epoch, origin, precision="float32")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            for name, weight in named_weights(snapshot.generator).items():
                values = arrays[name].astype(np.float32)
                if not np.isfinite(values).all():
                    raise ValueError(f"{name} is not finite")
                weight.assign(values)
    except _NO_WEIGHTS as error:
        raise UserError(
            f"{path} holds no generator of this kind ({one_line(error)}): {again}"
        ) from error
    return snapshot


def named_weights(generator) -> dict:
    """Maps names like "4/kernel" to weights; Keras's own layer names count up with every model."""
    return {
        f"{index}/{weight.name}": weight
        for index, layer in enumerate(generator.layers)
        for weight in layer.weights
    }


def write_images(path, samples, format: str):
    """Writes samples as one PNG grid, as in a run's own folder, or as a NumPy array.

    Args:
      path: the file.
      samples: `[count, 28, 28, 1]` float32 in [-1, 1].
      format: "png" or "npy".
    """
    with files.written_whole(path) as unfinished:
        if format == "png":
            images.write_samples(unfinished, samples)
        else:
            content = io.BytesIO()  # NumPy's own way into a file does not tell why it fails
            np.save(content, samples, allow_pickle=False)
            unfinished.write_bytes(content.getvalue())


def write_walk(path, walks, format: str):
    """Writes what `Snapshot.interpolate` returns: a row for each leg, or an endless animation.

    Args:
      path: the file.
      walks: `[legs, steps, 28, 28, 1]` float32 in [-1, 1].
      format: "png" or "gif".
    """
    pixels = images.to_uint8(walks)
    with files.written_whole(path) as unfinished:
        if format == "png":
            rows = [images.make_grid(leg, images.ZOOM, columns=len(leg)) for leg in pixels]
            images.write_png(unfinished, np.vstack(rows))
        else:
            frames = [
                images.make_grid(image[None], 2 * images.ZOOM)
                for leg in pixels
                for image in leg[:-1]
            ]
            images.write_gif(unfinished, frames, _FRAME_MS, _FRAME_MS)


def _blank(config, there, epoch, origin, precision):
    with environment.require_keras():
        generator = convert(make_generator(config.latent_dim), config.fast, precision)
    fixed_noise = make_fixed_noise(config.latent_dim, config.seed)
    return Snapshot(generator, fixed_noise, config, there, epoch, origin)
