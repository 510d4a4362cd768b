import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from helpers import ROOT, SMALL_STEPS, command, contents, flip_a_bit, refusal, remove, truncate

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
    many = snapshot.sample(600)
    assert many.shape == (600, 28, 28, 1)
    np.testing.assert_allclose(snapshot.sample(300), many[:300], atol=1e-6)
    assert len(np.unique(many.reshape(600, -1), axis=0)) == 600


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_the_runs_own_samples_can_be_drawn_again_byte_for_byte(
    small_run, tmp_path, in_process, epoch
):
    drawn = tmp_path / "drawn.png"
    flags = ["--training-noise", f"--epoch={epoch}", f"--output={drawn}"]
    finished = in_process("sample", *flags, f"--run-dir={small_run}")
    assert finished.returncode == 0, finished.stderr
    assert drawn.read_bytes() == (small_run / "samples" / f"epoch_000{epoch}.png").read_bytes()


def test_the_command_draws_what_the_library_draws(small_run, tmp_path, in_process):
    """The picture in a process of its own, as a user would."""
    expected = load_snapshot(small_run).sample(10, seed=3)
    for name, run in [("drawn.png", command), ("drawn.npy", in_process)]:
        finished = run(
            *(["-m", "gan_tf"] if run is command else []),
            *["sample", "--count=10", "--seed=3", f"--format={name[-3:]}"],
            *[f"--run-dir={small_run}", f"--output={tmp_path / name}"],
        )
        assert (finished.returncode, finished.stderr) == (0, "")
        assert finished.stdout == f"{tmp_path / name}: 10 images from epoch 3\n"
    np.testing.assert_array_equal(np.load(tmp_path / "drawn.npy", allow_pickle=False), expected)
    grid = images.make_grid(images.to_uint8(expected), zoom=3)
    np.testing.assert_array_equal(images.read_png(tmp_path / "drawn.png"), grid)


def test_before_the_first_snapshot_the_newest_checkpoint_is_drawn(run_copy):
    expected = load_snapshot(run_copy).sample(3)
    shutil.rmtree(run_copy / "snapshots")
    from_checkpoint = load_snapshot(run_copy)
    assert from_checkpoint.origin == f"checkpoint ckpt-{3 * SMALL_STEPS}"
    assert from_checkpoint.epoch is None
    np.testing.assert_array_equal(from_checkpoint.sample(3), expected)
    shutil.rmtree(run_copy / "checkpoints")
    with pytest.raises(UserError, match="snapshots contains no snapshot; `epoch` may be: none yet"):
        load_snapshot(run_copy)


def test_an_epoch_without_a_snapshot_is_refused_with_those_that_exist(small_run, in_process):
    before = contents(small_run)
    said = refusal("sample", "--epoch=4", f"--run-dir={small_run}", run=in_process)
    assert "epoch 4" in said and "--epoch may be: 1, 2, 3" in said
    with pytest.raises(UserError, match="epoch 4; `epoch` may be: 1, 2, 3"):
        load_snapshot(small_run, epoch=4)
    for wrong in [0, 1.5, "2"]:
        with pytest.raises(UserError, match="`epoch` must be a whole number"):
            load_snapshot(small_run, epoch=wrong)
    assert contents(small_run) == before


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


only_with_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")


@pytest.fixture
def exported(exported_once, tmp_path):
    for path in exported_once.parent.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path / exported_once.name


def make_pipe(path):
    path.unlink()
    os.mkfifo(path)


def forget_hash(path):
    path.write_text("{}")


def make_list(path):
    path.write_text("[]")


@pytest.mark.parametrize(
    "suffix, damage",
    [
        (".npz", truncate),
        (".npz", flip_a_bit),
        (".npz", remove),
        pytest.param(".npz", make_pipe, marks=only_with_pipes),
        pytest.param(".npz.json", make_pipe, marks=only_with_pipes),
        (".npz.json", truncate),
        (".npz.json", forget_hash),
        (".npz.json", make_list),
        (".npz.json", remove),
    ],
)
def test_a_damaged_export_is_named(exported, suffix, damage):
    damage(exported.with_suffix(suffix))
    with pytest.raises(UserError, match="small.npz or the .json beside it is missing or damaged"):
        load_pretrained(exported)


def replace_arrays(path, content):
    """Puts other bytes in the place of the weights, with their true SHA-256."""
    path.write_bytes(content)
    change_record(path, sha256=hashlib.sha256(content).hexdigest())


def change_record(path, **changes):
    record = json.loads(note_path(path).read_text())
    note_path(path).write_text(json.dumps(record | changes))


def changed(path, change):
    """Writes an export whose arrays are not those of the generator."""
    with np.load(path, allow_pickle=False) as arrays:
        arrays = dict(arrays)
    change(arrays)
    np.savez(path, **arrays)
    replace_arrays(path, path.read_bytes())


def lose_one(arrays):
    arrays.popitem()


def reshape_one(arrays):
    arrays["0/kernel"] = arrays["0/kernel"].T


def scalar(arrays):
    arrays["0/kernel"] = np.float32(0)


def make_nan(arrays):
    arrays["0/kernel"][3, 5] = np.nan


def make_text(arrays):
    arrays["0/kernel"] = np.array(["many"])


@pytest.mark.parametrize("change", [lose_one, reshape_one, scalar, make_nan, make_text])
def test_weights_of_another_generator_are_refused(exported, change):
    changed(exported, change)
    with pytest.raises(UserError, match="small.npz is not a generator of this kind") as refused:
        load_pretrained(exported)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 no zip"])
def test_a_file_without_arrays_is_refused(exported, content):
    replace_arrays(exported, content)
    with pytest.raises(UserError, match="small.npz is not a generator"):
        load_pretrained(exported)


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"optimizer": "RMSprop"}},
        {"config": {"latent_dim": -1}},
        {"config": []},
        {"epoch": "last"},
    ],
)
def test_a_record_that_does_not_fit_is_refused(exported, changes):
    change_record(exported, **changes)
    with pytest.raises(UserError, match="small.npz or the .json beside it"):
        load_pretrained(exported)


def test_objects_are_never_unpickled(exported):
    def make_object(arrays):
        arrays["0/kernel"] = np.array([print], dtype=object)

    changed(exported, make_object)
    with pytest.raises(UserError, match="small.npz is not a generator"):
        load_pretrained(exported)


def test_the_generator_that_comes_with_the_package_is_the_one_of_the_published_run():
    """It redraws the run's grid after epoch 50, within a grey level."""
    published = images.read_png(ROOT / "docs" / "results" / "epoch_0050.png").astype(int)
    snapshot = load_pretrained()
    drawn = images.make_grid(images.to_uint8(snapshot.sample_training_noise()), zoom=3)
    assert np.abs(drawn - published).max() <= 1
    record = json.loads(PRETRAINED["homework"].with_suffix(".json").read_text())
    assert record["epoch"] == snapshot.epoch == 50
    ours = dataclasses.replace(TrainConfig(**record["config"]), run_dir=None)
    assert ours == TrainConfig() == dataclasses.replace(snapshot.config, run_dir=None)
    config = json.loads((ROOT / "docs" / "results" / "config.json").read_text())
    assert {name: record[name] for name in config if name != "format"} == {
        name: config[name] for name in config if name != "format"
    }


def test_the_best_generator_of_the_package_is_the_one_of_the_published_study():
    """It redraws that run's grid after epoch 50 in float32; the run drew it in bfloat16."""
    published = images.read_png(ROOT / "docs" / "results" / "best" / "epoch_0050.png").astype(int)
    snapshot = load_pretrained("best")
    drawn = images.make_grid(images.to_uint8(snapshot.sample_training_noise()), zoom=3)
    difference = np.abs(drawn - published)
    assert difference.max() <= 6 and difference.mean() < 0.2
    same = {"run_dir": None, "snapshot_epochs": [50]}
    recipe = TrainConfig(**RECIPES["best"], precision="bfloat16")
    assert dataclasses.replace(snapshot.config, **same) == dataclasses.replace(recipe, **same)
    assert snapshot.epoch == 50
    assert sum(path.stat().st_size for path in PRETRAINED["best"].parent.iterdir()) < 10e6


def test_the_command_draws_from_it_without_a_run(tmp_path, in_process, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished = in_process("sample", "--pretrained", "--count=9", "--seed=2")
    assert finished.stderr == ""
    assert finished.stdout == "samples.png: 9 images from epoch 50 of the pretrained run\n"
    assert list(contents(tmp_path)) == [Path("samples.png")]
    grid = images.make_grid(images.to_uint8(load_pretrained().sample(9, seed=2)), zoom=3)
    np.testing.assert_array_equal(images.read_png(tmp_path / "samples.png"), grid)


def test_interpolation_begins_and_ends_at_images_of_sample():
    snapshot = load_pretrained()
    drawn = snapshot.sample(8, seed=2)
    walks = snapshot.interpolate([3, 7, 3], steps=4, seed=2)
    assert walks.shape == (2, 4, 28, 28, 1)
    for found, number in [(walks[0, 0], 3), (walks[0, -1], 7), (walks[1, 0], 7), (walks[1, -1], 3)]:
        np.testing.assert_allclose(found, drawn[number], atol=1e-4)


def test_the_command_draws_the_way_as_rows_or_as_a_loop(tmp_path, in_process):
    asked = ["interpolate", "--pretrained", "--from", "3", "--to", "7", "9", "--steps", "5"]
    for format in "png", "gif":
        output = tmp_path / f"way.{format}"
        finished = in_process(*asked, "--format", format, "--output", output)
        assert finished.returncode == 0, finished.stderr
    rows, frames = (iio.imread(tmp_path / f"way.{format}") for format in ("png", "gif"))
    assert rows.shape[1] > 2 * rows.shape[0]  # two legs of five images
    assert len(frames) == 3 * 4  # to 7, to 9, and back to 3, where the loop begins again
