import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from helpers import ROOT, SMALL_STEPS, contents, flip_a_bit, remove, replace_by_pipe, truncate

from gan_tf import TrainConfig, UserError, export_generator, load_pretrained, load_snapshot
from gan_tf.config import RECIPES
from gan_tf.export import note_path
from gan_tf.run import images
from gan_tf.snapshots import PRETRAINED


def test_the_latest_snapshot_is_the_default(small_run):
    latest = load_snapshot(small_run)
    assert (latest.origin, latest.epoch, latest.config.batch_size) == ("epoch 3", 3, 16)
    samples = latest.sample(5, seed=7)
    assert samples.shape == (5, 28, 28, 1) and samples.dtype == np.float32
    assert np.abs(samples).max() <= 1
    np.testing.assert_array_equal(samples, load_snapshot(small_run, epoch=3).sample(5, seed=7))
    assert (samples != load_snapshot(small_run, epoch=1).sample(5, seed=7)).any()
    assert (samples != latest.sample(5, seed=8)).any()


def test_large_counts_continue_small_ones(small_run):
    snapshot = load_snapshot(small_run)
    many = snapshot.sample(300)
    assert many.shape == (300, 28, 28, 1)
    np.testing.assert_allclose(snapshot.sample(20), many[:20], atol=1e-6)
    assert len(np.unique(many.reshape(300, -1), axis=0)) == 300


def test_the_samples_of_a_run_can_be_generated_again_byte_for_byte(small_run, tmp_path, in_process):
    path = tmp_path / "samples.png"
    flags = ["--training-noise", "--epoch=2", f"--output={path}"]
    finished = in_process("sample", *flags, f"--run-dir={small_run}")
    assert finished.returncode == 0, finished.stderr
    assert path.read_bytes() == (small_run / "samples" / "epoch_0002.png").read_bytes()


def test_the_command_samples_what_the_library_samples(small_run, tmp_path, in_process):
    expected = load_snapshot(small_run).sample(10, seed=3)
    flags = ["--count=10", "--seed=3", f"--run-dir={small_run}"]
    for path in tmp_path / "samples.png", tmp_path / "samples.npy":
        finished = in_process("sample", *flags, f"--output={path}")
        assert (finished.returncode, finished.stderr) == (0, "")
        assert finished.stdout == f"{path}: 10 images from epoch 3\n"
    np.testing.assert_array_equal(np.load(tmp_path / "samples.npy", allow_pickle=False), expected)
    grid = images.make_grid(images.to_uint8(expected), zoom=3)
    np.testing.assert_array_equal(images.read_png(tmp_path / "samples.png"), grid)


def test_before_the_first_snapshot_the_newest_checkpoint_is_used(run_copy):
    expected = load_snapshot(run_copy).sample(3)
    shutil.rmtree(run_copy / "snapshots")
    from_checkpoint = load_snapshot(run_copy)
    assert from_checkpoint.origin == f"checkpoint ckpt-{3 * SMALL_STEPS}"
    assert from_checkpoint.epoch is None
    np.testing.assert_array_equal(from_checkpoint.sample(3), expected)
    shutil.rmtree(run_copy / "checkpoints")
    with pytest.raises(UserError, match="snapshots contains no snapshot; `epoch` may be: none yet"):
        load_snapshot(run_copy)


def test_an_epoch_without_a_snapshot_is_refused_with_those_that_exist(small_run):
    with pytest.raises(UserError, match="epoch 4; `epoch` may be: 1, 2, 3"):
        load_snapshot(small_run, epoch=4)
    for wrong in [0, 1.5, "2"]:
        with pytest.raises(UserError, match="`epoch` must be a whole number"):
            load_snapshot(small_run, epoch=wrong)


def test_counts_seeds_and_waypoints_are_checked(small_run):
    """Fault 39."""
    snapshot = load_snapshot(small_run)
    for name, values in {"count": [0, 1.5, 10**12, 10**400], "seed": [-1]}.items():
        for wrong in values:
            with pytest.raises(UserError, match=f"`{name}` must be a whole number"):
                snapshot.sample(**{name: wrong})
    for wrong in [5, None, [0], [0, -1], [0, 10**30], [0, "1"]]:
        with pytest.raises(UserError, match="`waypoints` must be"):
            snapshot.interpolate(wrong)
    with pytest.raises(UserError, match="`steps` must be"):
        snapshot.interpolate([0, 1], steps=1)


def test_a_damaged_snapshot_is_named(run_copy):
    (data,) = run_copy.glob("snapshots/epoch_0002.data*")
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(UserError, match="epoch_0002.*choose another `epoch`"):
        load_snapshot(run_copy, epoch=2)


# -------------------------------------------------------------------------- weights without a run


@pytest.fixture(scope="module")
def exported_once(small_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.npz"
    return export_generator(load_snapshot(small_run, epoch=2), path, "npz")


@pytest.fixture
def exported(exported_once, tmp_path):
    for path in exported_once.parent.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path / exported_once.name


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize(
    "suffix, damage",
    [
        *[(".npz", damage) for damage in (flip_a_bit, remove, replace_by_pipe)],
        *[(".npz.json", damage) for damage in (truncate, replace_by_pipe)],
    ],
)
def test_a_damaged_export_is_named(exported, suffix, damage):
    damage(exported.with_suffix(suffix))
    with pytest.raises(UserError, match="small.npz or the .json beside it is missing or damaged"):
        load_pretrained(exported)


def change_note(exported, **changes):
    note = json.loads(note_path(exported).read_text())
    note_path(exported).write_text(json.dumps(note | changes))


@pytest.mark.parametrize(
    "changes", [{"config": {"latent_dim": -1}}, {"config": []}, {"epoch": "x"}]
)
def test_a_record_that_does_not_fit_is_refused(exported, changes):
    change_note(exported, **changes)
    with pytest.raises(UserError, match="small.npz or the .json beside it"):
        load_pretrained(exported)


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("0/kernel"),
        lambda arrays: arrays.update({"0/kernel": np.float32(0)}),
        lambda arrays: np.put(arrays["0/kernel"], 9, np.nan),
        lambda arrays: arrays.update({"0/kernel": np.array([print], dtype=object)}),
        None,
    ],
)
def test_weights_of_another_generator_are_refused(exported, change):
    """With the right SHA-256 in the note; objects are never unpickled."""
    if change:
        with np.load(exported, allow_pickle=False) as arrays:
            arrays = dict(arrays)
        change(arrays)
        np.savez(exported, **arrays)
    else:
        exported.write_bytes(b"PK\x03\x04 no zip")
    change_note(exported, sha256=hashlib.sha256(exported.read_bytes()).hexdigest())
    with pytest.raises(UserError, match="small.npz is not a generator of this kind") as refusal:
        load_pretrained(exported)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "recipe, folder, precision, largest, mean",
    [("homework", ".", "float32", 1, 0.01), ("best", "best", "bfloat16", 6, 0.2)],
)
def test_the_generators_of_the_package_are_those_of_the_published_runs(
    recipe, folder, precision, largest, mean
):
    """Each generates its run's grid after epoch 50 again, but for rounding, and in float32."""
    results = ROOT / "docs" / "results"
    published = images.read_png(results / folder / "epoch_0050.png").astype(int)
    snapshot = load_pretrained(recipe)
    grid = images.make_grid(images.to_uint8(snapshot.sample_training_noise()), zoom=3)
    difference = np.abs(grid - published)
    assert difference.max() <= largest and difference.mean() < mean
    expected = TrainConfig(**RECIPES[recipe], precision=precision)
    same = {"run_dir": None, "snapshot_epochs": [50]}
    assert dataclasses.replace(snapshot.config, **same) == dataclasses.replace(expected, **same)
    assert snapshot.epoch == 50


def test_the_weights_are_small_and_name_the_published_run():
    assert sum(path.stat().st_size for path in PRETRAINED["best"].parent.iterdir()) < 10e6
    record = json.loads(PRETRAINED["homework"].with_suffix(".json").read_text())
    published = json.loads((ROOT / "docs" / "results" / "config.json").read_text())
    assert published.items() <= record.items()


def test_the_command_samples_from_it_without_a_run(tmp_path, in_process, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished = in_process("sample", "--pretrained", "--count=9", "--seed=2")
    assert finished.stderr == ""
    assert (
        finished.stdout == "samples.png: 9 images from epoch 50 of the pretrained run (homework)\n"
    )
    assert list(contents(tmp_path)) == [Path("samples.png")]


def test_interpolation_begins_and_ends_at_images_of_sample():
    snapshot = load_pretrained()
    samples = snapshot.sample(8, seed=2)
    walks = snapshot.interpolate([3, 7, 3], steps=4, seed=2)
    assert walks.shape == (2, 4, 28, 28, 1)
    np.testing.assert_allclose(walks[:, 0], samples[[3, 7]], atol=1e-4)
    np.testing.assert_allclose(walks[:, -1], samples[[7, 3]], atol=1e-4)


def test_the_command_interpolates_in_rows_or_as_a_loop(tmp_path, in_process):
    arguments = ["interpolate", "--pretrained", "--from", "3", "--to", "7", "9", "--steps", "5"]
    for format in "png", "gif":
        output = tmp_path / f"walk.{format}"
        finished = in_process(*arguments, "--output", output)
        assert finished.returncode == 0, finished.stderr
    rows, frames = (iio.imread(tmp_path / f"walk.{format}") for format in ("png", "gif"))
    assert rows.shape[1] > 2 * rows.shape[0]  # two legs of five images
    assert len(frames) == 3 * 4  # to 7, to 9, and back to 3
