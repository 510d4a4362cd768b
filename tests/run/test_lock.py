import contextlib
import errno
import os
import shutil
import sys

import pytest

from gan_tf import RunFailed, UserError
from gan_tf.run.lock import NAME, FolderLock


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lets nobody read what is locked")
def test_the_lock_names_its_holder_until_it_is_freed(tmp_path):
    with FolderLock(tmp_path):
        assert (tmp_path / NAME).read_text() == str(os.getpid())
    assert (tmp_path / NAME).read_text() == ""
    (tmp_path / NAME).write_text("12345678901 is an old number")
    with FolderLock(tmp_path):
        assert (tmp_path / NAME).read_text() == str(os.getpid())


@pytest.mark.skipif(sys.platform == "win32", reason="links as POSIX knows them")
@pytest.mark.parametrize("make", [os.symlink, os.link, lambda _, path: path.mkdir()])
def test_a_lock_that_is_also_something_else_is_refused(tmp_path, make):
    precious, run = tmp_path / "precious", tmp_path / "run"
    precious.write_text("mine")
    run.mkdir()
    make(precious, run / NAME)
    with pytest.raises(UserError, match=f"{NAME} is .*: remove it"), FolderLock(run):
        pytest.fail("it would be emptied")
    assert precious.read_text() == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="locks as POSIX knows them")
def test_a_file_system_without_locks_is_refused_and_a_lock_lost_on_one_ends_the_run(
    tmp_path, monkeypatch
):
    def refuse(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    with FolderLock(tmp_path) as lock:
        (tmp_path / NAME).unlink()
        monkeypatch.setattr("portalocker.portalocker.LOCKER", refuse)
        with pytest.raises(RunFailed, match="moved, removed or taken over"):
            lock.check()
    with pytest.raises(UserError, match=r"without locks \(Function not implemented\): choose a"):
        with FolderLock(tmp_path):
            pytest.fail("nothing is locked")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no file that is open")
def test_a_removed_lock_is_made_again(tmp_path):
    with FolderLock(tmp_path) as lock:
        (tmp_path / NAME).unlink()
        lock.check()
        assert (tmp_path / NAME).read_text() == str(os.getpid())
        with pytest.raises(UserError, match="in use by"), FolderLock(tmp_path):
            pytest.fail("two hold one folder")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no file that is open")
@pytest.mark.parametrize("loss", ["removed", "replaced", "taken over"])
def test_a_folder_that_is_lost_is_noticed(tmp_path, loss):
    folder = tmp_path / "run"
    folder.mkdir()
    with FolderLock(folder) as lock, contextlib.ExitStack() as other:
        lock.check()
        if loss == "removed":
            shutil.rmtree(folder)
        elif loss == "replaced":
            folder.rename(tmp_path / "elsewhere")
            folder.mkdir()
        else:
            (folder / NAME).unlink()
            other.enter_context(FolderLock(folder))
        with pytest.raises(RunFailed, match=f"{folder} was moved, removed or taken over"):
            lock.check()
        if loss == "replaced":
            assert os.listdir(folder) == []
