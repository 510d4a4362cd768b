"""Saving and restoring checkpoints, which hold all that a run needs to resume, and snapshots."""

import math
import shutil
import warnings
from pathlib import Path

import tensorflow as tf

from gan_tf.run.rundir import RunDir
from gan_tf.system.errors import RunFailed, UserError, one_line
from gan_tf.system.files import disk_full, entries, is_disk_full, sync

_KEPT = 2
# What tf.train.Checkpoint raises for damaged files; the type depends on where the damage is.
_UNREADABLE = (tf.errors.OpError, IndexError, ValueError, AssertionError)


def save(checkpoint: tf.train.Checkpoint, run: RunDir, step: int):
    """Writes `ckpt-STEP` to the disk, then removes all but the newest two up to that step.

    A checkpoint of a later step exists only if it could not be read. It stays until it is replaced.
    Raises RunFailed if the disk is full, or the run no longer belongs to this process.
    """
    write(checkpoint, run, run.checkpoint_path(step))
    for old in [other for other in run.checkpoint_steps() if other <= step][_KEPT:]:
        _remove(run, run.checkpoint_path(old))


def restore_newest(checkpoint: tf.train.Checkpoint, run: RunDir) -> int | None:
    """Restores the newest readable checkpoint, and warns of each newer one that is unreadable.

    Checkpoints are found by their names. TensorFlow's own `checkpoint` state file may be missing or
    wrong, and a run that seems to have no checkpoint would start again.

    Returns:
      The step of the checkpoint, or None if the folder holds none.

    Raises:
      UserError: there are checkpoints, but none can be read, or one is whole and belongs to
        another version of gan_tf.
    """
    steps = run.checkpoint_steps()
    reasons = {}
    for step in steps:
        path = run.checkpoint_path(step)
        try:
            checkpoint.read(str(path)).assert_consumed()
        except _UNREADABLE as error:
            if _is_whole(path):
                raise UserError(
                    f"{path} is whole, but holds other variables than this version of gan_tf"
                    f" trains ({one_line(error)}): use the version that {run.config_path}"
                    " names, or choose another `run_dir`"
                ) from error
            reasons[path] = one_line(error)
            continue
        for unreadable, reason in reasons.items():
            warnings.warn(f"{unreadable} cannot be read, resuming from {path.name} ({reason})")
        return step
    if steps and steps != [0]:  # with step 0 alone, the run was killed as it started
        names = ", ".join(f"{path.name}: {reason}" for path, reason in reasons.items())
        raise UserError(
            f"no checkpoint in {run.checkpoints} can be read ({names}): restore one from a backup,"
            " or add `overwrite` to start again from epoch 0"
        )
    return None


def save_snapshot(run: RunDir, epoch: int, generators: dict, fixed_noise: tf.Variable):
    """Writes the generator, its average if there is one, and the fixed noise of the run's grids."""
    snapshot = tf.train.Checkpoint(**generators, fixed_noise=fixed_noise)
    write(snapshot, run, run.snapshot_path(epoch))


def remove_snapshot(run: RunDir, epoch: int):
    """Removes the snapshot of an epoch."""
    _remove(run, run.snapshot_path(epoch))


def restore_snapshot(path, generators: dict, fixed_noise: tf.Variable):
    """Restores a generator from a snapshot or a training checkpoint.

    Args:
      path: path prefix of the files.
      generators: built Keras models, by the names that `save_snapshot` gave them.
      fixed_noise: `[16, latent_dim]` float32.

    Raises:
      UserError: the files are damaged, or belong to another generator.
    """
    snapshot = tf.train.Checkpoint(**generators, fixed_noise=fixed_noise)
    try:
        snapshot.read(str(path)).assert_existing_objects_matched().expect_partial()
    except _UNREADABLE as error:
        raise UserError(
            f"{path} cannot be read ({one_line(error)}): choose another `epoch`"
        ) from error


def _is_whole(path):
    """Returns whether every tensor of a checkpoint can be read and matches its checksum."""
    try:
        reader = tf.train.load_checkpoint(str(path))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (*_UNREADABLE, RuntimeError):
        return False
    return True


def write(checkpoint: tf.train.Checkpoint, run: RunDir, path):
    """Writes a checkpoint to the disk, under a path prefix in the run's folder.

    Raises RunFailed if the disk is full, or the run no longer belongs to this process.
    """
    run.check_held()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.write(str(path))  # under a temporary name, then put in place
        for file in _files(path):
            sync(file)
        sync(path.parent)
    except (tf.errors.OpError, OSError) as error:
        shutil.rmtree(path.with_name(f"{path.name}_temp"), ignore_errors=True)
        raise write_failure(path, error, needed=_size(checkpoint)) from error


def write_failure(path, error: Exception, needed: int | None = None) -> RunFailed:
    """Returns the error to raise when TensorFlow or the system could not write a file."""
    if isinstance(error, OSError):
        full = is_disk_full(error)
    else:  # TensorFlow has an error type for a full disk, but none for a file over the size limit
        full = isinstance(error, tf.errors.ResourceExhaustedError) or "too large" in str(error)
    if full:
        return disk_full(path, needed)
    return RunFailed(f"cannot write {path} ({one_line(error)})")


def _size(checkpoint):
    """Returns the bytes of the networks and optimizers in a checkpoint: nearly all of it."""
    names = ("generator", "discriminator", "generator_optimizer", "discriminator_optimizer")
    parts = [getattr(checkpoint, name) for name in names if hasattr(checkpoint, name)]
    return sum(4 * math.prod(variable.shape) for part in parts for variable in part.variables)


def _remove(run, path):
    run.check_held()
    for file in _files(path):
        file.unlink()


def _files(path: Path):
    """Returns the files of a checkpoint, given its path prefix."""
    prefixes = (f"{path.name}.index", f"{path.name}.data-")
    return [file for file in entries(path.parent) if file.name.startswith(prefixes)]
