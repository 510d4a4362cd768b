import shutil

import imageio.v3 as imageio
import numpy as np
import pytest
import tensorflow as tf
from helpers import SMALL_STEPS, command, contents, refusal

from gan_tf import UserError, images, load_snapshot
from gan_tf.sampling import make_fixed_noise, make_noise


def test_noise_is_unit_gaussian_and_a_function_of_its_arguments():
    noise = make_noise(2000, 100, seed=1, index=2).numpy()
    assert noise.shape == (2000, 100) and noise.dtype == np.float32
    assert abs(noise.mean()) < 0.01 and abs(noise.std() - 1) < 0.01
    np.testing.assert_array_equal(noise, make_noise(2000, 100, seed=1, index=2))
    for other in [dict(seed=1, index=3), dict(seed=2, index=2)]:
        assert (
            abs(np.corrcoef(noise.ravel(), make_noise(2000, 100, **other).numpy().ravel())[0, 1])
            < 0.01
        )


@pytest.mark.parametrize("seed, index", [(0, 0), (0, -1), (7, 46_900), (2**32 - 1, 2**40)])
def test_noise_is_tensorflows_own(seed, index):
    expected = tf.random.stateless_normal([5, 3], [seed, index], alg="philox")
    np.testing.assert_array_equal(make_noise(5, 3, seed, index), expected)


def test_the_fixed_noise_is_no_training_steps_noise():
    fixed = make_fixed_noise(100, seed=0).numpy()
    assert fixed.shape == (16, 100)
    for step in range(20):
        assert (fixed != make_noise(16, 100, 0, step).numpy()).all()


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
