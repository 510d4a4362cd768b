import errno
import os
import re
import signal
import stat
import sys

import pytest
from helpers import command

from gan_tf import UserError
from gan_tf.system import files
from gan_tf.system.files import written_whole


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new folder" / "öffentlich.txt"
    with written_whole(path) as unfinished:
        unfinished.write_text("whole")
        assert not path.exists()
        assert unfinished.suffix == path.suffix
    assert path.read_text() == "whole"
    assert os.listdir(path.parent) == [path.name]


def test_after_an_error_the_old_file_stays(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), written_whole(path) as unfinished:
        unfinished.write_text("half")
        _ = 1 / 0
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]


KILLED = """
import os, sys
from gan_tf.system.files import written_whole
with written_whole(sys.argv[1]) as unfinished:
    unfinished.write_text("half")
    os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
def test_a_process_that_is_killed_in_a_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    assert command("-c", KILLED, path).returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert len(os.listdir(tmp_path)) == 2
    files.remove_unfinished(tmp_path, re.compile("file.txt"))
    assert os.listdir(tmp_path) == ["file.txt"]


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    paths = {tmp_path: "is a folder", tmp_path / "file" / "below.txt": ": .*file is not a folder"}
    if os.path.exists("/proc"):
        paths["/proc/nothing/here.txt"] = ": No such file"
    for path, reason in paths.items():
        with pytest.raises(UserError, match=f"{path}.*{reason}"), written_whole(path):
            pytest.fail("there is nowhere to write")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_device_or_pipe_is_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="pipe is not a regular file"):
        with written_whole(tmp_path / "pipe"):
            pytest.fail("it would be replaced")
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)
    with pytest.raises(ValueError, match="not a regular file"):  # nor waited for
        files.read_text(tmp_path / "pipe")


@pytest.mark.skipif(sys.platform == "win32", reason="needs symbolic links without a privilege")
def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "file.txt")
    with written_whole(tmp_path / "link") as unfinished:
        unfinished.write_text("whole")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "file.txt").read_text() == "whole"


@pytest.mark.parametrize(
    "name, message",
    [
        ("", "is empty"),
        ("a\0b", "NUL byte"),
        ("\ud800", "locale"),
        (b"run", "must be text, not b'run'"),
        ("x/" + "é" * 110, "more than 215 bytes"),
        ("run [1]", r"contains \["),
    ],
)
def test_a_name_that_systems_or_tensorflow_cannot_take_is_refused(name, message):
    with pytest.raises(UserError, match=message):
        files.check_tensorflow_name(name)
    files.check_tensorflow_name("Läufe im März (1)*?/" + "y" * 200)


def test_a_text_is_read_up_to_a_limit(tmp_path):
    (tmp_path / "text").write_text("grün", encoding="utf-8")
    assert files.read_text(tmp_path / "text") == "grün"
    with pytest.raises(ValueError, match="more than 4 bytes"):
        files.read_text(tmp_path / "text", at_most=4)


def test_every_kind_of_full_disk_is_known():
    for number in [errno.ENOSPC, errno.EDQUOT, errno.EFBIG]:
        assert files.is_disk_full(OSError(number, "full"))
    assert not files.is_disk_full(OSError(errno.EACCES, "not allowed"))
    assert str(files.disk_full("a.png", 29_600_000)).startswith(
        "no space left to write a.png: free 30 MB"
    )
