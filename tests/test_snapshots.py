import dataclasses
import hashlib
import json
import shutil

import numpy as np
import pytest
from helpers import ROOT, SMALL_STEPS, contents, flip_a_bit, refusal, remove, truncate

from gan_tf import TrainConfig, UserError, images, load_pretrained, load_snapshot
from gan_tf.export import write_weights
from gan_tf.snapshots import PRETRAINED, named_weights, write_images


def test_the_latest_snapshot_is_the_default(small_run):
    latest = load_snapshot(small_run)
    assert latest.origin == "epoch 3"
    samples = latest.sample(5, seed=7)
    assert samples.shape == (5, 28, 28, 1) and samples.dtype == np.float32
    assert np.abs(samples).max() <= 1
    np.testing.assert_array_equal(samples, load_snapshot(small_run, epoch=3).sample(5, seed=7))
    assert (samples != load_snapshot(small_run, epoch=1).sample(5, seed=7)).any()
    assert (samples != latest.sample(5, seed=8)).any()


def test_large_counts_continue_small_ones(small_run):
    snapshot = load_snapshot(small_run)
    many = snapshot.sample(600)
    assert many.shape == (600, 28, 28, 1)
    np.testing.assert_allclose(snapshot.sample(300), many[:300], atol=1e-6)
    assert len(np.unique(many.reshape(600, -1), axis=0)) == 600


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_the_runs_own_samples_can_be_drawn_again_byte_for_byte(small_run, tmp_path, epoch):
    drawn = tmp_path / "drawn.png"
    finished = command(
        "-m", "gan_tf", "sample", "--training-noise", f"--epoch={epoch}",
        f"--run-dir={small_run}", f"--output={drawn}",
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert drawn.read_bytes() == (small_run / "samples" / f"epoch_000{epoch}.png").read_bytes()


def test_the_command_draws_what_the_library_draws(small_run, tmp_path):
    expected = load_snapshot(small_run).sample(10, seed=3)
    for name in ["drawn.png", "drawn.npy"]:
        finished = command(
            "-m", "gan_tf", "sample", "--count=10", "--seed=3", f"--format={name[-3:]}",
            f"--run-dir={small_run}", f"--output={tmp_path / name}",
        )  # fmt: skip
        assert finished.returncode == 0, finished.stderr
        assert finished.stdout == f"{tmp_path / name}: 10 images from epoch 3\n"
    np.testing.assert_array_equal(np.load(tmp_path / "drawn.npy", allow_pickle=False), expected)
    grid = images.make_grid(images.to_uint8(expected), zoom=3)
    np.testing.assert_array_equal(imageio.imread(tmp_path / "drawn.png"), grid)


def test_before_the_first_snapshot_the_newest_checkpoint_is_drawn(small_run, tmp_path):
    shutil.copytree(small_run, tmp_path, dirs_exist_ok=True)
    expected = load_snapshot(tmp_path).sample(3)
    shutil.rmtree(tmp_path / "snapshots")
    from_checkpoint = load_snapshot(tmp_path)
    assert from_checkpoint.origin == f"checkpoint ckpt-{3 * SMALL_STEPS}"
    np.testing.assert_array_equal(from_checkpoint.sample(3), expected)


def test_an_epoch_without_a_snapshot_is_refused_with_those_that_exist(small_run):
    before = contents(small_run)
    said = refusal("-m", "gan_tf", "sample", "--epoch=4", f"--run-dir={small_run}")
    assert "epoch 4" in said and "1, 2, 3" in said
    assert contents(small_run) == before


@pytest.mark.parametrize("wrong", [dict(count=0), dict(count=-1), dict(seed=-1), dict(count=1.5)])
def test_counts_and_seeds_are_checked(small_run, wrong):
    with pytest.raises(UserError, match=f"--{next(iter(wrong))}"):
        load_snapshot(small_run).sample(**wrong)


def test_a_damaged_snapshot_is_named(small_run, tmp_path):
    shutil.copytree(small_run, tmp_path, dirs_exist_ok=True)
    (data,) = tmp_path.glob("snapshots/epoch_0002.data*")
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(UserError, match="epoch_0002"):
        load_snapshot(tmp_path, epoch=2)
