"""File access: complete files only, checked names, sizes and errors."""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import sys
import warnings
from pathlib import Path

from gan_tf.system.errors import RunFailed, UserError

# The temporary name of a file: the process that writes it, and its final name.
_UNFINISHED = ".unfinished-{}-{}"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # disk full, quota used up, `ulimit -f`
_DIGEST = hashlib.sha256().digest_size
_LONGEST_NAME = 255 - 40  # bytes: the limit of all common file systems, less the temporary prefix
# TensorFlow can write to a path with one of these, but reads it as a pattern and finds no file.
_PATTERN_CHARACTERS = {"["} if os.name == "nt" else {"[", "\\"}


@contextlib.contextmanager
def written_whole(path):
    """Yields a temporary path with the same suffix; when the block ends, renames that file.

    Its content is flushed to the disk first. So after a kill or a power failure there is the old
    file or the new one, never a part of one. If the path is a symbolic link, its target is written.
    The block may put a folder in place of the temporary file.

    Args:
      path: final path of the file; its folder is created if necessary.

    Raises:
      UserError: the folder cannot be created or written to, or the path is not a regular file.
      RunFailed: the disk is full.
    """
    check_target(path)
    path = Path(os.path.realpath(path))
    unfinished = path.with_name(_UNFINISHED.format(os.getpid(), path.name))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.touch()
    except FileExistsError:
        raise UserError(f"cannot write {path}: {path.parent} is not a folder") from None
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(path) from error
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    try:
        yield unfinished
        for written in [unfinished, *unfinished.rglob("*")]:
            sync(written)
        os.replace(unfinished, path)
        sync(path.parent)
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(path) from error
        raise RunFailed(f"cannot write {path}: {error.strerror}") from error
    finally:
        if unfinished.is_dir():
            shutil.rmtree(unfinished)
        unfinished.unlink(missing_ok=True)


def keep(path, content: bytes):
    """Writes a cache file; a failure is only a warning."""
    try:
        with written_whole(path) as unfinished:
            unfinished.write_bytes(content)
    except (UserError, RunFailed) as error:
        # Without the file name, so that Python shows one warning for all files of a folder.
        reason = f" ({error.__cause__.strerror})" if isinstance(error.__cause__, OSError) else ""
        warnings.warn(
            f"cannot write to {Path(path).parent}{reason}: what would be kept there is computed"
            " again every time"
        )


def keep_checked(path, content: bytes):
    """Writes a cache file, as `keep` does, with a SHA-256 at its end for `read_checked`."""
    keep(path, content + hashlib.sha256(content).digest())


def read_checked(path, at_most: int) -> bytes | None:
    """Returns the content that `keep_checked` wrote; None if the file is damaged or missing."""
    try:
        whole = read_bytes(path, at_most)
    except (OSError, ValueError):
        return None
    content, digest = whole[:-_DIGEST], whole[-_DIGEST:]
    return content if hashlib.sha256(content).digest() == digest else None


def remove_unfinished(folder, names: re.Pattern):
    """Removes a killed process's temporary files from a folder, if their final names match."""
    for path in entries(folder):
        match = re.fullmatch(_UNFINISHED.format(r"\d+", "(.*)").replace(".", r"\.", 1), path.name)
        if match and names.fullmatch(match[1]) and path.is_file():
            path.unlink()


def entries(folder) -> list[Path]:
    """Returns the paths in a folder, sorted by name; none if there is no such folder.

    Raises UserError if it cannot be read, where `Path.glob` would silently find nothing.
    """
    try:
        return sorted(Path(folder, name) for name in os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"cannot read the folder {folder}: {error.strerror}") from error


def check_target(path):
    """Refuses a path for a new file if its name is invalid or belongs to something else."""
    check_name(path)
    if os.path.isdir(path):
        raise UserError(f"{path} is a folder: name a file to write")
    if os.path.exists(path) and not os.path.isfile(path):
        raise UserError(f"{path} is not a regular file: choose another name")


def check_name(path):
    """Refuses a name that is empty, too long, not text, or that systems or locales do not allow."""
    text = os.fspath(path)
    if not isinstance(text, str):
        raise UserError(f"a name must be text, not {text!r}")
    if text == "":
        raise UserError("the name of a file or folder is empty: is a shell variable unset?")
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError:
        encoded = None
    if encoded != text.encode("utf-8", "replace"):  # as TensorFlow encodes it
        raise UserError(
            f"the name {text!a} is not UTF-8 in this locale: choose another, or set PYTHONUTF8=1"
        )
    if "\0" in text:
        raise UserError(f"the name {text!a} contains a NUL byte")
    if any(len(name) > _LONGEST_NAME for name in encoded.split(os.fsencode(os.sep))):
        raise UserError(f"{text[:20]!a}... has a name of more than {_LONGEST_NAME} bytes")


def check_tensorflow_name(path):
    """Refuses a path that TensorFlow could write to but not read."""
    check_name(path)
    if found := {*os.fspath(path)} & _PATTERN_CHARACTERS:
        raise UserError(
            f"the name {os.fspath(path)!a} contains {' and '.join(sorted(found))}, which TensorFlow"
            " reads as part of a pattern: choose another"
        )


def read_text(path, at_most: int = 10_000_000) -> str:
    """Returns the text of a regular UTF-8 file of at most `at_most` bytes.

    Raises:
      OSError, ValueError: as for `read_bytes`, or the file is not UTF-8.
    """
    return read_bytes(path, at_most).decode("utf-8")


def read_bytes(path, at_most: int) -> bytes:
    """Returns the content of a regular file of at most `at_most` bytes.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is larger, or a device or a pipe, which might never end.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a regular file")
    if status.st_size > at_most:
        raise ValueError(f"more than {at_most} bytes")
    return Path(path).read_bytes()


def is_disk_full(error: OSError) -> bool:
    """Returns whether an error means that the disk is full or a limit is reached."""
    return error.errno in _FULL


def disk_full(path, needed: int | None = None) -> RunFailed:
    """Returns the error to raise if there is no space for a file of `needed` bytes."""
    amount = f"{needed / 1e6:.0f} MB" if needed else "space"
    return RunFailed(
        f"no space left to write {path}: free {amount} (the disk or your quota is full,"
        " or ulimit -f is too low), then run the command again"
    )


def sync(path):
    """Flushes a file, or the list of names of a folder, to the disk."""
    folder = Path(path).is_dir()
    if folder and sys.platform == "win32":
        return  # Windows cannot open a folder; its file system keeps a journal of names
    # Windows flushes a file only if it was opened for writing.
    descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not (folder and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise  # some network file systems cannot flush a folder
    finally:
        os.close(descriptor)
