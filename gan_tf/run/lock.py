"""One process at a time holds a folder, and notices when the folder is no longer its own."""

import contextlib
import os
import stat
from pathlib import Path

from gan_tf.system.errors import RunFailed, UserError

NAME = ".gan_tf.lock"


class FolderLock:
    """Holds a folder while its `with` block runs; the system frees it even after kill -9.

    Args:
      folder: an existing folder.

    Raises:
      UserError: another process holds it, or it cannot be locked.
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
        """Makes sure that folder and lock are this process's own; a removed lock is made again.

        Raises:
          RunFailed: the folder was moved or removed, or another process has taken it over.
        """
        try:
            if _identity(os.lstat(self.path)) == _identity(os.fstat(self._file.fileno())):
                return
        except FileNotFoundError:
            with contextlib.suppress(OSError, UserError):
                if _identity(os.stat(self.folder)) == self._folder_id:
                    lost, self._file = self._file, self._acquire()
                    lost.close()
                    return
        except OSError:
            pass
        raise RunFailed(
            f"{self.folder} was moved, removed or taken over by another process while this one"
            " worked in it: nothing more was written; look there for what goes on"
        )

    def remove(self):
        """Removes the lock's file; the lock must no longer be needed."""
        with contextlib.suppress(OSError):  # Windows removes no file that is open
            self.path.unlink()

    def _acquire(self):
        import portalocker  # here, as its import needs a folder for temporary files

        while True:
            # Never through a link, and never emptied: the name may be somebody else's.
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            file = os.fdopen(os.open(self.path, flags, 0o644), "r+b", buffering=0)
            try:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise UserError(f"{self.path} is not a file: remove it")
                if status.st_nlink > 1:
                    raise UserError(f"{self.path} has a second name (a hard link): remove it")
                portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
                # The one who held it before may have removed the file in between.
                if _identity(os.fstat(file.fileno())) == _identity(os.lstat(self.path)):
                    file.truncate(0)
                    file.write(str(os.getpid()).encode())
                    return file
            except portalocker.AlreadyLocked as error:
                holder = _holder(file)
                file.close()
                raise UserError(
                    f"`run_dir` {self.folder} is in use by {holder}: wait for it"
                ) from error
            except portalocker.LockException as error:
                file.close()
                reason = getattr(error.__context__, "strerror", None) or "it refuses a lock"
                raise UserError(
                    f"`run_dir` {self.folder} is on a file system without locks ({reason}): name a"
                    " folder on another one"
                ) from error
            except FileNotFoundError:
                pass
            except BaseException:
                file.close()
                raise
            file.close()


def _holder(file):
    try:
        return f"process {int(file.read(20))}"
    except (OSError, ValueError):  # Windows lets nobody read what is locked
        return "another process"


def _identity(status):
    return status.st_dev, status.st_ino
