import errno
import os
import re
import shutil
import subprocess
import sys

import pytest

from gan_tf import RunFailed, UserError
from gan_tf.run.lock import NAME, FolderLock

HOLD = """
import sys
from gan_tf.run.lock import FolderLock
with FolderLock(sys.argv[1]):
    print("held", flush=True)
    input()
"""
can_read_a_locked_file = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows lets nobody read what is locked"
)


def test_a_second_process_is_refused_and_kill_frees_the_folder(tmp_path):
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with first:
        assert first.stdout.readline() == "held\n"
        holder = "another process" if sys.platform == "win32" else f"process {first.pid}"
        with pytest.raises(UserError, match=f"`run_dir` .* is in use by {holder}: wait"):
            with FolderLock(tmp_path):
                pytest.fail("two processes hold one folder")
        first.kill()
        first.wait()
        with FolderLock(tmp_path) as lock:
            lock.check()


@can_read_a_locked_file
def test_the_lock_names_its_holder_until_it_is_freed(tmp_path):
    with FolderLock(tmp_path):
        assert (tmp_path / NAME).read_text() == str(os.getpid())
    assert (tmp_path / NAME).read_text() == ""
    (tmp_path / NAME).write_text("12345678901 is an old number")
    with FolderLock(tmp_path):
        assert (tmp_path / NAME).read_text() == str(os.getpid())


def test_a_folder_that_cannot_be_locked_is_named(tmp_path):
    with pytest.raises(UserError, match=re.escape(f"`run_dir` {tmp_path / 'none'} cannot be used")):
        with FolderLock(tmp_path / "none"):
            pytest.fail("there is no such folder")
    (tmp_path / NAME).mkdir()
    with pytest.raises(UserError, match=re.escape(str(tmp_path))), FolderLock(tmp_path):
        pytest.fail("the name is taken by a folder")


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="needs O_NOFOLLOW")
def test_the_lock_is_never_written_through_a_link(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / NAME).symlink_to(tmp_path / "precious")
    with pytest.raises(UserError, match=f"{NAME} is a link"), FolderLock(tmp_path / "run"):
        pytest.fail("it would be emptied")
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="hard links as POSIX counts them")
def test_the_lock_never_empties_a_file_that_has_another_name(tmp_path):
    """Fault 23."""
    (tmp_path / "precious").write_text("mine")
    os.link(tmp_path / "precious", tmp_path / NAME)
    with pytest.raises(UserError, match=f"{NAME} .* has a second name"), FolderLock(tmp_path):
        pytest.fail("it would be emptied")
    assert (tmp_path / "precious").read_text() == "mine"


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
@pytest.mark.parametrize("loss", ["moved", "removed", "replaced", "taken over"])
def test_a_folder_that_is_lost_is_noticed(tmp_path, loss):
    folder = tmp_path / "run"
    folder.mkdir()
    with FolderLock(folder) as lock:
        lock.check()
        if loss == "moved":
            folder.rename(tmp_path / "elsewhere")
        elif loss == "removed":
            shutil.rmtree(folder)
        elif loss == "replaced":
            folder.rename(tmp_path / "elsewhere")
            folder.mkdir()
        else:
            (folder / NAME).unlink()
            with FolderLock(folder), pytest.raises(RunFailed, match="taken over"):
                lock.check()
            return
        with pytest.raises(RunFailed, match=f"{folder} was moved, removed or taken over"):
            lock.check()
        if loss == "replaced":
            assert os.listdir(folder) == []
