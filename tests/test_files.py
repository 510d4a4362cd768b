import os

import pytest

from gan_tf import UserError
from gan_tf.files import remove_unfinished, written_whole


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
    with pytest.raises(ZeroDivisionError):
        with written_whole(path) as unfinished:
            unfinished.write_text("half")
            1 / 0
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    for path in [tmp_path, tmp_path / "file" / "below.txt", "/proc/nothing/here.txt"]:
        with pytest.raises(UserError, match=str(path)):
            with written_whole(path):
                pytest.fail("there is nowhere to write")


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "epoch_0001.png").touch()
    killed = written_whole(tmp_path / "samples" / "epoch_0002.png")
    killed.__enter__()
    remove_unfinished(tmp_path)
    assert os.listdir(tmp_path / "samples") == ["epoch_0001.png"]
