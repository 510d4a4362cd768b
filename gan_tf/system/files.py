"""A file appears under its name whole or not at all."""

import contextlib
import errno
import hashlib
import os
import re
import stat
import sys
import warnings
from pathlib import Path, PureWindowsPath

from gan_tf.system.errors import RunFailed, UserError

# The name of a file that is being written: the process, and the name that it will have.
_UNFINISHED = ".unfinished-{}-{}"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, the user's share, `ulimit -f`
_DIGEST = hashlib.sha256().digest_size
_LONGEST_NAME = 255 - 40  # bytes, of every common file system, less those of an unfinished name
_WINDOWS_DEVICES = {"CON", "PRN", "AUX", "NUL"} | {
    f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10)
}
# TensorFlow writes to a path with one of these, but reads it as a pattern, and finds nothing.
_PATTERN_CHARACTERS = "[" if os.name == "nt" else "[\\"


@contextlib.contextmanager
def written_whole(path):
    """Gives a temporary path in the same folder; what was written there is put in place at the end.

    The content reaches the disk before the name does, so that a killed process or a lost power
    supply leaves the old file or the new one, never half of one. After an error nothing is left.
    A symbolic link stays one: the file that it names is written.

    Args:
      path: where the finished file goes; its folder is made if need be.

    Yields:
      A `Path` with the same suffix, to be written by the caller.

    Raises:
      UserError: the folder cannot be made or written to, or something else than a file has the
        name.
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
        sync(unfinished)
        os.replace(unfinished, path)
        sync(path.parent)
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(path) from error
        raise RunFailed(f"cannot write {path}: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def keep(path, content: bytes):
    """Writes a file that only saves time later, such as a cache; a failure is only a warning.

    Args:
      path: as for `written_whole`.
      content: of the whole file.
    """
    try:
        with written_whole(path) as unfinished:
            unfinished.write_bytes(content)
    except (UserError, RunFailed) as error:
        # Without the file's name, so that Python shows it once for all files of a folder.
        reason = f" ({error.__cause__.strerror})" if error.__cause__ else ""
        warnings.warn(
            f"cannot write to {Path(path).parent}{reason}: what it would keep is computed again"
            " every time"
        )


def keep_checked(path, content: bytes):
    """Does what `keep` does, with the SHA-256 of the content behind it, for `read_checked`."""
    keep(path, content + hashlib.sha256(content).digest())


def read_checked(path, at_most: int) -> bytes | None:
    """Returns what `keep_checked` has written; None where it is damaged, foreign, or not there."""
    try:
        whole = read_bytes(path, at_most)
    except (OSError, ValueError):
        return None
    content, digest = whole[:-_DIGEST], whole[-_DIGEST:]
    return content if hashlib.sha256(content).digest() == digest else None


def remove_unfinished(folder, names: re.Pattern):
    """Removes what a killed process was still writing in a folder.

    Args:
      folder: where to look; not below it.
      names: of finished files that are ours to write; a temporary file of another one stays.
    """
    for path in entries(folder):
        match = re.fullmatch(_UNFINISHED.format(r"\d+", "(.*)").replace(".", r"\.", 1), path.name)
        if match and names.fullmatch(match[1]) and path.is_file():
            path.unlink()


def entries(folder) -> list[Path]:
    """Returns what is in a folder, in order of the names; nothing where there is no folder.

    Raises:
      UserError: the folder cannot be read. `Path.glob` would find nothing there, and say nothing.
    """
    try:
        return sorted(Path(folder, name) for name in os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"cannot read the folder {folder}: {error.strerror}") from error


def check_target(path):
    """Refuses a name for a file to write that no system takes, or that is no file's.

    Raises:
      UserError: says why.
    """
    check_name(path)
    if os.path.isdir(path):
        raise UserError(f"{path} is a folder: name a file to write")
    if os.path.exists(path) and not os.path.isfile(path):
        raise UserError(f"{path} is not a regular file: name another one to write")


def check_name(path):
    """Refuses a name that no system takes: an empty one, one with a NUL, one that is no text.

    Raises:
      UserError: says which.
    """
    text = os.fspath(path)
    if not isinstance(text, str):
        raise UserError(f"a name must be text, not {text!r}")
    if text == "":
        raise UserError("an empty name is no file and no folder: is a shell variable unset?")
    try:
        written = os.fsencode(text)
        utf_8 = text.encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(
            f"the name {text!a} cannot be written in this locale: choose another, or set"
            " PYTHONUTF8=1"
        ) from None
    if b"\0" in written:
        raise UserError(f"the name {text!a} has a NUL byte in it")
    longest = max(text.split(os.sep), key=len)
    if len(os.fsencode(longest)) > _LONGEST_NAME:
        raise UserError(f"the name {longest[:20]!a}... has more than {_LONGEST_NAME} bytes")
    if os.name == "nt" and (part := windows_forbids(text)):
        raise UserError(f"Windows does not allow the name {part!a}: choose another")
    if written != utf_8 and os.name != "nt":  # TensorFlow would write to the second one
        raise UserError(
            f"the name {text!a} is written otherwise in this locale than in UTF-8, which TensorFlow"
            " uses: choose another, or set PYTHONUTF8=1"
        )


def windows_forbids(path: str) -> str | None:
    """Returns the first part of a path that Windows takes for something else, or refuses.

    Source: learn.microsoft.com/windows/win32/fileio/naming-a-file. A colon would write into a
    hidden stream of another file.
    """
    whole = PureWindowsPath(path)
    for part in whole.parts[1 if whole.anchor else 0 :]:
        ends_wrongly = part[-1] in ". " and part not in (".", "..")
        device = part.split(".")[0].rstrip().upper() in _WINDOWS_DEVICES
        if ends_wrongly or device or any(char in '<>:"|?*' or char < " " for char in part):
            return part
    return None


def check_tensorflow_name(path):
    """Refuses a name that TensorFlow could write to but never read again.

    Raises:
      UserError: says which character stands in the way.
    """
    check_name(path)
    for character in _PATTERN_CHARACTERS:
        if character in os.fspath(path):
            raise UserError(
                f"the name {os.fspath(path)!a} has a {character} in it, which TensorFlow takes for"
                " a pattern: choose another"
            )


def read_text(path, at_most: int = 10_000_000) -> str:
    """Returns the text of a regular UTF-8 file, of at most so many bytes.

    Raises:
      OSError, ValueError: as for `read_bytes`, or it is not UTF-8.
    """
    return read_bytes(path, at_most).decode("utf-8")


def read_bytes(path, at_most: int) -> bytes:
    """Returns the content of a regular file of at most so many bytes.

    Raises:
      OSError: it cannot be read.
      ValueError: it is larger, or a device or pipe, which might never end.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a regular file")
    if status.st_size > at_most:
        raise ValueError(f"more than {at_most} bytes")
    return Path(path).read_bytes()


def is_disk_full(error: OSError) -> bool:
    """Tells whether a disk, or what the user may have of it, is full."""
    return error.errno in _FULL


def disk_full(path, needed: int | None = None) -> RunFailed:
    """Returns the error to raise where there is no space for a file of `needed` bytes."""
    amount = f"{needed / 1e6:.0f} MB" if needed else "space"
    return RunFailed(
        f"no space left to write {path}: free {amount} (the disk is full, or your share of it, or"
        " ulimit -f is too low), then run the command again"
    )


def sync(path):
    """Waits until a file, or a folder's list of names, is on the disk."""
    folder = Path(path).is_dir()
    if folder and sys.platform == "win32":
        return  # Windows cannot open a folder; its file system journals names by itself
    # Windows flushes a file only if it is open for writing.
    descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not (folder and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise  # a network file system may not know how to flush a folder
    finally:
        os.close(descriptor)
