"""A file appears under its name whole or not at all."""

import contextlib
import errno
import os
from pathlib import Path

from gan_tf.errors import RunFailed, UserError

_UNFINISHED = ".unfinished-"


@contextlib.contextmanager
def written_whole(path):
    """Gives a temporary path in the same folder; what was written there is put in place at the end.

    The content reaches the disk before the name does, so that a killed process or a lost power
    supply leaves the old file or the new one, never half of one. After an error nothing is left.

    Args:
      path: where the finished file goes; its folder is made if need be.

    Yields:
      A `Path` with the same suffix, to be written by the caller.

    Raises:
      UserError: the folder cannot be made or written to.
      RunFailed: the disk is full.
    """
    path = Path(path)
    unfinished = path.with_name(f"{_UNFINISHED}{os.getpid()}-{path.name}")
    if path.is_dir():
        raise UserError(f"{path} is a folder: name a file to write")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.touch()
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(path) from error
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    try:
        yield unfinished
        sync(unfinished)
        os.replace(unfinished, path)
        sync(path.parent)
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(path) from error
        raise
    finally:
        unfinished.unlink(missing_ok=True)


def is_disk_full(error: OSError) -> bool:
    """Tells whether a disk, or the user's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def disk_full(path, needed: int | None = None) -> RunFailed:
    """Returns the error to raise where there is no space for a file of `needed` bytes."""
    amount = f"{needed / 1e6:.0f} MB" if needed else "space"
    return RunFailed(f"no space left to write {path}: free {amount}, then run the command again")


def sync(path):
    """Waits until a file, or a folder's list of names, is on the disk."""
    if os.name == "nt" and Path(path).is_dir():
        return  # Windows cannot open a folder; its file system journals names by itself
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_unfinished(folder):
    """Removes what a killed process was still writing below a folder."""
    for path in Path(folder).rglob(_UNFINISHED + "*"):
        path.unlink()
