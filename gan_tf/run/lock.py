"""A lock that one process at a time holds on a folder, and that notices if the folder is lost."""

import contextlib
import os
import stat
from pathlib import Path

from gan_tf.system.errors import RunFailed, UserError

NAME = ".gan_tf.lock"


class FolderLock:
    """Locks a folder while its `with` block runs; the system releases it even after kill -9.

    Args:
      folder: an existing folder.

    Raises:
      UserError: another process holds the lock, or the folder cannot be locked.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.path = self.folder / NAME

    def __enter__(self):
        try:
            self._folder_id = _identity(os.stat(self.folder))
            if self.path.is_symlink() or self.path.is_dir():
                raise UserError(f"{self.path} is a link or a folder: remove it")
            self._file = self._acquire()
        except OSError as error:
            raise UserError(f"`run_dir` {self.folder} cannot be used: {error.strerror}") from error
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):  # a full disk, a folder that is gone
            self._file.truncate(0)
        self._file.close()

    def check(self):
        """Checks that the folder and the lock belong to this process; restores a removed lock.

        Raises:
          RunFailed: the folder was moved or removed, or another process has taken it over.
        """
        with contextlib.suppress(OSError, UserError):
            was_removed = not os.path.lexists(self.path)
            if was_removed and _identity(os.stat(self.folder)) == self._folder_id:
                lost, self._file = self._file, self._acquire()
                lost.close()
            if _identity(os.lstat(self.path)) == _identity(os.fstat(self._file.fileno())):
                return
        raise RunFailed(
            f"{self.folder} was moved, removed or taken over by another process while this one"
            " used it: nothing more was written; check whether that process is training there"
        )

    def _acquire(self):
        while True:
            # Do not follow a link or truncate: the file may belong to somebody else.
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            file = os.fdopen(os.open(self.path, flags, 0o644), "r+b", buffering=0)
            with contextlib.ExitStack() as unless_locked:
                unless_locked.enter_context(file)
                self._lock(file)
                # The previous holder may have removed the file in the meantime.
                with contextlib.suppress(FileNotFoundError):
                    if _identity(os.fstat(file.fileno())) == _identity(os.lstat(self.path)):
                        file.truncate(0)
                        file.write(str(os.getpid()).encode())
                        unless_locked.pop_all()
                        return file

    def _lock(self, file):
        import portalocker  # not at the top: its import needs a folder for temporary files

        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise UserError(f"{self.path} is not a file, or has a second name: remove it")
        try:
            portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
        except portalocker.AlreadyLocked as error:
            raise UserError(
                f"`run_dir` {self.folder} is in use by {_holder(file)}: wait until it ends"
            ) from error
        except portalocker.LockException as error:
            reason = getattr(error.__context__, "strerror", None) or "it refuses locks"
            raise UserError(
                f"`run_dir` {self.folder} is on a file system without locks ({reason}): choose"
                " a folder on another one"
            ) from error


def _holder(file):
    try:
        return f"process {int(file.read(20))}"
    except (OSError, ValueError):  # on Windows a locked file cannot be read
        return "another process"


def _identity(status):
    return status.st_dev, status.st_ino
