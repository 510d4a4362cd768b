"""A trained generator that is loaded from a run, a file or the package, and can sample images."""

import dataclasses
import functools
import hashlib
import io
import itertools
import json
import warnings
from pathlib import Path

import numpy as np
import tensorflow as tf

from gan_tf.config import MOST_IMAGES, TrainConfig, still_known, whole_number
from gan_tf.fast_layers import convert
from gan_tf.models import make_generator
from gan_tf.noise import generate, make_fixed_noise, make_noise, walk
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
_MAX_INDEX = 2**32 - 1  # of an image; the index of its batch is part of a seed
_MAX_BYTES = 2**30  # of a file of weights


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A trained generator, and the run that it comes from.

    Attributes:
      generator: Keras model from `[batch, latent_dim]` to `[batch, 28, 28, 1]`.
      fixed_noise: `[16, latent_dim]` float32, the noise of the samples in the run's folder.
      config: the `TrainConfig` of the run.
      environment: versions and machine at the start of the run, as in its config.json.
      epoch: last epoch of the training; None for a checkpoint before the first snapshot.
      origin: description of the epoch for messages.
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
          count: number of images, up to 1,000,000; the first images are the same for every count,
            up to rounding.
          seed: seed of the noise, 0 to 2**32 - 1.
          keep: share of images to keep, 0.05 to 1. Those that change least with their noise are
            kept, since fewer of them are crosses of two garments; see `Selection`.

        Returns:
          `[count, 28, 28, 1]` float32 in [-1, 1].

        Raises:
          UserError: a number is out of range.
        """
        count = whole_number("count", count, at_least=1, at_most=MOST_IMAGES)
        if check_keep(keep) < 1:
            return take(self.batches(seed, keep), count)[0]
        batches = []
        for first in range(0, count, BATCH):
            noise = self._noise(seed, first // BATCH)[: count - first]
            batches.append(generate(self.generator, noise))
        return np.concatenate(batches)

    def batches(self, seed: int = 0, keep: float = 1.0):
        """Yields the images of `sample` endlessly, with their indices among all sampled images.

        Args:
          seed, keep: as for `sample`.

        Yields:
          `[kept, 28, 28, 1]` float32 and `[kept]` int, for each batch of 256 images.
        """
        keep = check_keep(keep)
        for batch in itertools.count():
            noise = self._noise(seed, batch)
            samples = generate(self.generator, noise)
            indices = batch * BATCH + np.arange(BATCH)
            if keep < 1:
                is_kept = self._selection.keeps(noise, samples, keep)
                samples, indices = samples[is_kept], indices[is_kept]
            if len(samples):
                yield samples, indices

    def interpolate(self, waypoints, steps: int = 8, seed: int = 0) -> np.ndarray:
        """Generates images on a path between images of `sample`.

        Args:
          waypoints: indices of at least two images of `sample(count, seed)`, from 0; the path leads
            from each to the next.
          steps: number of images from one waypoint to the next, both included; at least 2.
          seed: seed of the noise.

        Returns:
          `[len(waypoints) - 1, steps, 28, 28, 1]` float32 in [-1, 1].

        Raises:
          UserError: a number is out of range.
        """
        steps = whole_number("steps", steps, at_least=2, at_most=10_000)
        if not np.iterable(waypoints):
            raise UserError(f"`waypoints` must be a list of image numbers, not {waypoints!r}")
        indices = [whole_number("waypoints", index, 0, _MAX_INDEX) for index in waypoints]
        if len(indices) < 2:
            raise UserError(f"`waypoints` must be at least two image numbers, not {indices}")
        noise = [self._noise(seed, index // BATCH)[index % BATCH] for index in indices]
        legs = [walk(start, end, steps) for start, end in itertools.pairwise(noise)]
        return np.stack([generate(self.generator, leg) for leg in legs])

    @functools.cached_property
    def _selection(self):
        return Selection(self.generator, self.config)

    def _noise(self, seed, batch):
        seed = whole_number("seed", seed, at_least=0, at_most=2**32 - 1)
        return make_noise(BATCH, self.config.latent_dim, seed, batch)

    def sample_training_noise(self) -> np.ndarray:
        """Generates the samples in the run's folder again: `[16, 28, 28, 1]` float32 in [-1, 1]."""
        return generate(self.generator, self.fixed_noise)


def take(batches, count: int) -> tuple[np.ndarray, int]:
    """Takes the first images of `Snapshot.batches`.

    Returns:
      `[count, 28, 28, 1]` float32 in [-1, 1], and how many images were sampled to find them.
    """
    parts = []
    while count:
        samples, indices = next(batches)
        parts.append(samples[:count])
        count -= len(parts[-1])
    return np.concatenate(parts), int(indices[len(parts[-1]) - 1]) + 1


def load_snapshot(run_dir, epoch=None, averaged: bool = True) -> Snapshot:
    """Restores the generator of a run.

    Args:
      run_dir: folder of the run.
      epoch: epoch of one of the run's snapshots, or "best" for the one with the lowest FCD. The
        default is the latest snapshot, or the newest checkpoint if there is no snapshot yet.
      averaged: whether to use the averaged weights, if the run has them.

    Raises:
      UserError: the run or the snapshot does not exist, in which case the message lists the
        existing epochs; or it is damaged.
    """
    run = RunDir(run_dir)
    files.check_tensorflow_name(run.path)
    config, recorded_environment = run.read_config()
    if epoch == "best":
        epoch, best = run.best_kept_epoch(), run.best_evaluated_epoch()
        if epoch is None:
            raise UserError(
                f"{run.path} has no best `epoch`: train with `evaluate_every`, or evaluate the run"
            )
        if best != epoch:
            warnings.warn(f"epoch {best} was better than epoch {epoch}, but has no snapshot")
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
        missing = "no snapshot" if epoch is None else f"no snapshot of epoch {epoch}"
        raise UserError(f"{run.snapshots} contains {missing}; `epoch` may be: {existing}")
    snapshot = _untrained(config, recorded_environment, epoch, origin, config.precision)
    name = "averaged_generator" if averaged and config.ema_decay else "generator"
    checkpoints.restore_snapshot(path, {name: snapshot.generator}, snapshot.fixed_noise)
    return snapshot


def load_pretrained(path="homework") -> Snapshot:
    """Restores a generator without its run, by default one that is part of the package.

    It computes in float32, whatever the precision of its training: few processors support bfloat16,
    and others round it in different ways.

    Args:
      path: "homework" or "best", for 50 epochs of that recipe; or the `.npz` file of an export. Its
        note must be beside it: generator.npz.json, or generator.json from gan_tf 2.0.

    Raises:
      UserError: one of the two files is missing, damaged, or of another generator.
    """
    name, path = path, Path(PRETRAINED.get(str(path), path))
    note = Path(f"{path}.json")
    if not note.exists():
        note = path.with_suffix(".json")
    remedy = "install gan_tf again, or export it again if it is yours"
    try:
        record = json.loads(files.read_text(note))
        config = TrainConfig(**still_known(record["config"]))
        recorded_environment = record["environment"]
        epoch = None if record["epoch"] is None else int(record["epoch"])
        content = files.read_bytes(path, _MAX_BYTES)
        if hashlib.sha256(content).hexdigest() != record["sha256"]:
            raise ValueError("the SHA-256 of the weights is not the recorded one")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{path} or the .json beside it is missing or damaged ({one_line(error)}): {remedy}"
        ) from error
    origin = (
        f"{'a checkpoint' if epoch is None else f'epoch {epoch}'} of the pretrained run ({name})"
    )
    snapshot = _untrained(config, recorded_environment, epoch, origin, "float32")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            for name, weight in named_weights(snapshot.generator).items():
                values = arrays[name].astype(np.float32)
                if not np.isfinite(values).all():
                    raise ValueError(f"{name} is not finite")
                weight.assign(values)
    except Exception as error:  # a foreign file may raise anything
        raise UserError(
            f"{path} is not a generator of this kind ({one_line(error)}): {remedy}"
        ) from error
    return snapshot


def named_weights(generator) -> dict:
    """Returns weights by names like "4/kernel"; layer names of Keras differ with every model."""
    return {
        f"{index}/{weight.name}": weight
        for index, layer in enumerate(generator.layers)
        for weight in layer.weights
    }


def write_images(path, samples, format: str):
    """Writes samples as one grid ("png"), as in a run's folder, or as a NumPy array ("npy")."""
    with files.written_whole(path) as unfinished:
        if format == "png":
            images.write_samples(unfinished, samples)
        else:
            content = io.BytesIO()  # `np.save` to a file would not report why it fails
            np.save(content, samples, allow_pickle=False)
            unfinished.write_bytes(content.getvalue())


def write_walk(path, walks, format: str):
    """Writes the images of `Snapshot.interpolate` as rows ("png") or as an animation ("gif")."""
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


def _untrained(config, recorded_environment, epoch, origin, precision):
    """Returns a snapshot with random weights, into which the trained ones can be restored."""
    with environment.require_keras():
        generator = convert(make_generator(config.latent_dim), config.fast, precision)
    fixed_noise = make_fixed_noise(config.latent_dim, config.seed)
    return Snapshot(generator, fixed_noise, config, recorded_environment, epoch, origin)
