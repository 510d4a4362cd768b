import json
import os
import subprocess
import sys

import imageio.v3 as imageio
import numpy as np
import pytest
from helpers import contents
from PIL import Image

from gan_tf import TrainConfig, UserError
from gan_tf.rundir import RunDir


def begun(tmp_path, **choices):
    run = RunDir(tmp_path / "run")
    run.write_config(TrainConfig(**choices), {"threads": 2})
    return run


def test_the_config_is_read_back_as_it_was(tmp_path):
    choices = dict(epochs=7, learning_rate=0.1 + 0.2, max_images=100, snapshot_epochs=[3, 5])
    run = begun(tmp_path, **choices)
    assert run.read_config() == (TrainConfig(**choices), {"threads": 2})


def test_the_same_settings_pass_and_a_run_may_grow_or_move(tmp_path):
    run = begun(tmp_path, epochs=3)
    run.check(TrainConfig(epochs=3))
    run.check(TrainConfig(epochs=4, run_dir="moved", data_dir="there", manual_dir="here"))


def test_every_setting_that_differs_is_named_with_both_values(tmp_path):
    run = begun(tmp_path, epochs=5, batch_size=32, seed=1, dataset="mnist")
    with pytest.raises(UserError) as refused:
        run.check(TrainConfig(epochs=4, batch_size=16, learning_rate=0.5, dataset="kmnist", seed=1))
    for difference in [
        "--epochs is 4, was 5",
        "--batch-size is 16, was 32",
        "--learning-rate is 0.5, was 0.0001",
        "--dataset is kmnist, was mnist",
    ]:
        assert difference in str(refused.value)
    assert "--seed" not in str(refused.value)


def test_checkpoints_without_a_config_are_no_fresh_start(tmp_path):
    run = RunDir(tmp_path)
    run.checkpoints.mkdir()
    with pytest.raises(UserError, match="config.json"):
        run.check(TrainConfig())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"config": {"depth": 3}}', '{"config": {}}'])
def test_a_damaged_config_is_named(tmp_path, text):
    run = begun(tmp_path)
    run.config_path.write_text(text)
    with pytest.raises(UserError, match="config.json is damaged"):
        run.check(TrainConfig())


def test_a_folder_without_a_run_is_named(tmp_path):
    for folder in [tmp_path, tmp_path / "missing"]:
        with pytest.raises(UserError, match=f"{folder} holds no run"):
            RunDir(folder).read_config()


def test_a_second_process_is_refused_with_the_first_ones_id(tmp_path):
    hold = f"""
from gan_tf.rundir import RunDir
with RunDir({str(tmp_path / "run")!r}).locked():
    print("held", flush=True)
    input()
"""
    first = subprocess.Popen(
        [sys.executable, "-c", hold],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with first:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"in use by process {first.pid}"):
            with RunDir(tmp_path / "run").locked():
                pytest.fail("two processes hold one run")
        first.kill()
        first.wait()
        with RunDir(tmp_path / "run").locked():
            assert (tmp_path / "run" / "lock").read_text() == str(os.getpid())


def test_a_run_that_never_began_leaves_nothing(tmp_path):
    run = RunDir(tmp_path / "runs" / "new")
    with pytest.raises(ZeroDivisionError):
        with run.locked():
            1 / 0
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("below", ["", "runs/new"])
def test_a_run_folder_that_cannot_be_made_is_named(tmp_path, below):
    (tmp_path / "file").touch()
    for folder in [tmp_path / "file" / below, "/proc/new"]:
        with pytest.raises(UserError, match=f"--run-dir {folder}"):
            with RunDir(folder).locked():
                pytest.fail("there is nowhere to write")


def test_the_history_is_read_back_exactly(tmp_path):
    run = RunDir(tmp_path)
    assert run.read_history() == []
    rows = [
        {"epoch": epoch, "step": 10 * epoch, "generator_loss": 1 / 3 * epoch, "seconds": 1e-17}
        for epoch in (1, 2)
    ]
    run.write_history(rows)
    assert run.read_history() == rows
    assert run.history_path.read_text().splitlines()[0] == "epoch,step,generator_loss,seconds"


def test_epochs_are_ordered_by_number(tmp_path):
    run = RunDir(tmp_path)
    run.samples.mkdir()
    for epoch in [10_000, 9_999, 2, 10]:
        run.sample_path(epoch).touch()
    for foreign in ["epoch_x.png", "epoch_0003.png.txt", "other.png"]:
        (run.samples / foreign).touch()
    assert list(run.sample_paths()) == [2, 10, 9_999, 10_000]
    assert run.sample_path(2).name == "epoch_0002.png"


def test_the_gif_shows_the_epochs_in_order_and_holds_the_last(tmp_path):
    run = RunDir(tmp_path)
    for epoch in [10_000, 9_999, 3]:
        run.write_samples(epoch, np.full([16, 28, 28, 1], epoch / 20_000))
    said = run.write_gif(frame_ms=100, hold_ms=1500)
    frames = imageio.imread(run.gif_path, mode="L")
    assert frames[:, 10, 10].tolist() == [128, 191, 191]
    assert "3 frames of 366 x 390 pixels, 1.7 s" in said and str(run.gif_path) in said
    for frame, epoch in zip(frames, [3, 9_999, 10_000]):
        np.testing.assert_array_equal(frame[:366], imageio.imread(run.sample_path(epoch)))
    assert (frames[1, 366:] != frames[2, 366:]).any()  # the epoch's number is on it
    with Image.open(run.gif_path) as film:
        assert film.info["loop"] == 0
        film.seek(2)
        assert film.info["duration"] == 1500


def test_a_gif_needs_frames_and_times(tmp_path):
    run = RunDir(tmp_path)
    with pytest.raises(UserError, match="no frames.*samples"):
        run.write_gif()
    for name in ["frame_ms", "hold_ms"]:
        with pytest.raises(UserError, match="--" + name.replace("_", "-")):
            run.write_gif(**{name: 0})
    assert contents(tmp_path) == {}


def test_the_config_is_plain_json(tmp_path):
    record = json.loads(begun(tmp_path).config_path.read_text())
    assert record["config"]["batch_size"] == 64
    assert record["environment"] == {"threads": 2}
