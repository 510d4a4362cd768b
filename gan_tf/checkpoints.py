"""Everything that a resume needs: saved, found, verified, restored."""

import math
import re
import shutil
import warnings
from pathlib import Path

import tensorflow as tf

from gan_tf.errors import UserError, one_line
from gan_tf.files import disk_full, is_disk_full, sync

_KEPT = 2
_NETWORKS_AND_OPTIMIZERS = (
    "generator",
    "discriminator",
    "generator_optimizer",
    "discriminator_optimizer",
)
# What tf.train.Checkpoint raises for damaged files: which one depends on where the damage is.
_UNREADABLE = (tf.errors.OpError, IndexError, ValueError, AssertionError)


def training_checkpoint(
    generator, discriminator, generator_optimizer, discriminator_optimizer, **variables
) -> tf.train.Checkpoint:
    """Gathers the whole state of a training run, ready to be saved or restored.

    Optimizers are built, as their slots could not be matched otherwise. The Dropout layers' seeds
    are added by hand: Keras keeps them where `tf.train.Checkpoint` does not look.

    Args:
      generator: Keras model, built.
      discriminator: Keras model, built.
      generator_optimizer: Keras optimizer of the generator.
      discriminator_optimizer: Keras optimizer of the discriminator.
      **variables: further `tf.Variable`s.
    """
    generator_optimizer.build(generator.trainable_variables)
    discriminator_optimizer.build(discriminator.trainable_variables)
    seeds = [
        layer.seed_generator.state.value
        for model in (generator, discriminator)
        for layer in model.layers
        if hasattr(layer, "seed_generator")
    ]
    return tf.train.Checkpoint(
        generator=generator,
        discriminator=discriminator,
        generator_optimizer=generator_optimizer,
        discriminator_optimizer=discriminator_optimizer,
        dropout_seeds=seeds,
        **variables,
    )


def save(checkpoint: tf.train.Checkpoint, folder, step: int):
    """Writes `ckpt-STEP` to the disk, then removes all but the newest two up to it.

    One of a later step is there if it could not be read. It stays until its step comes again.
    """
    _write(checkpoint, Path(folder, f"ckpt-{step}"))
    for old in [other for other in _steps(folder) if other <= step][_KEPT:]:
        for path in _files(folder, f"ckpt-{old}"):
            path.unlink()


def restore_newest(checkpoint: tf.train.Checkpoint, folder) -> int | None:
    """Restores the newest checkpoint that can be read, and warns of each newer one that cannot.

    The folder is searched by name: TensorFlow's own `checkpoint` state file may be gone or wrong,
    and a run that seems to have no checkpoint would start afresh.

    Returns:
      Its step, or None where the folder holds no checkpoint.

    Raises:
      UserError: there are checkpoints, and none of them can be read.
    """
    steps = _steps(folder)
    reasons = {}
    for step in steps:
        path = Path(folder, f"ckpt-{step}")
        try:
            checkpoint.read(str(path)).assert_consumed()
        except _UNREADABLE as error:
            reasons[path] = one_line(error)
            continue
        for unreadable, reason in reasons.items():
            warnings.warn(f"{unreadable} cannot be read, going on from {path.name} ({reason})")
        return step
    if steps and steps != [0]:  # one of step 0 alone is a run that was killed as it began
        names = ", ".join(f"{path.name}: {reason}" for path, reason in reasons.items())
        raise UserError(
            f"no checkpoint in {folder} can be read ({names}): bring one back from a copy, or add"
            " --overwrite to start again from epoch 0"
        )
    return None


def remove_unfinished(folder):
    """Removes what a killed process was still saving, checkpoint or snapshot."""
    for path in Path(folder).glob("*_temp"):
        shutil.rmtree(path)


def save_snapshot(path, generator, fixed_noise: tf.Variable):
    """Writes the generator, and the noise of the run's own samples, under the prefix `path`."""
    _write(tf.train.Checkpoint(generator=generator, fixed_noise=fixed_noise), Path(path))


def restore_snapshot(path, generator, fixed_noise: tf.Variable):
    """Restores the generator from a snapshot or a checkpoint of the training.

    Raises:
      UserError: the files under the prefix `path` are damaged or fit another generator.
    """
    snapshot = tf.train.Checkpoint(generator=generator, fixed_noise=fixed_noise)
    try:
        snapshot.read(str(path)).assert_existing_objects_matched().expect_partial()
    except _UNREADABLE as error:
        raise UserError(f"{path} cannot be read: choose another --epoch") from error


def newest(folder) -> Path | None:
    """Returns the path prefix of the newest checkpoint, readable or not."""
    steps = _steps(folder)
    return Path(folder, f"ckpt-{steps[0]}") if steps else None


def _write(checkpoint, path):
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.write(str(path))  # under a temporary name, then put in place
        for file in _files(path.parent, path.name):
            sync(file)
        sync(path.parent)
    except (tf.errors.ResourceExhaustedError, OSError) as error:
        if isinstance(error, OSError) and not is_disk_full(error):
            raise
        remove_unfinished(path.parent)
        raise disk_full(path, needed=_size(checkpoint)) from error


def _size(checkpoint):
    """Bytes of the networks and optimizers in a checkpoint, which are nearly all of it."""
    parts = (getattr(checkpoint, name, None) for name in _NETWORKS_AND_OPTIMIZERS)
    variables = [variable for part in parts if part is not None for variable in part.variables]
    return sum(4 * math.prod(variable.shape) for variable in variables)


def _files(folder, name):
    return [
        path
        for path in Path(folder).glob(f"{name}.*")
        if path.suffix == ".index" or ".data-" in path.name
    ]


def _steps(folder):
    """Steps of all checkpoints, newest first; one file of a checkpoint suffices to count it."""
    names = (
        re.fullmatch(r"ckpt-(\d+)\.(index|data-.*)", path.name) for path in Path(folder).glob("*")
    )
    return sorted({int(match[1]) for match in names if match}, reverse=True)
