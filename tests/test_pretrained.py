import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, command, contents, flip_a_bit, refusal, remove, truncate

from gan_tf import TrainConfig, UserError, images, load_pretrained, load_snapshot
from gan_tf.pretrained import WEIGHTS, export


@pytest.fixture
def exported(small_run, tmp_path):
    path = tmp_path / "weights" / "small.npz"
    export(small_run, path, epoch=2, commit="abc")
    return path


def difference(samples, others):
    """The largest difference between two arrays of images in [-1, 1], in grey levels of 255."""
    return np.abs(images.to_uint8(samples).astype(int) - images.to_uint8(others)).max()


def test_an_export_draws_what_its_run_draws_within_one_grey_level(small_run, exported):
    run, alone = load_snapshot(small_run, epoch=2), load_pretrained(exported)
    assert difference(alone.sample(300, seed=4), run.sample(300, seed=4)) <= 1
    assert difference(alone.sample_training_noise(), run.sample_training_noise()) <= 1
    other_epoch = load_snapshot(small_run, epoch=3).sample(300, seed=4)
    assert difference(alone.sample(300, seed=4), other_epoch) > 1


def test_an_export_says_where_it_comes_from(small_run, exported):
    record = json.loads(exported.with_suffix(".json").read_text())
    assert record["sha256"] == hashlib.sha256(exported.read_bytes()).hexdigest()
    assert record["commit"] == "abc" and record["epoch"] == 2
    of_run = json.loads((small_run / "config.json").read_text())
    assert {name: record[name] for name in of_run} == of_run


def test_an_export_can_be_made_again_byte_for_byte(small_run, exported, tmp_path):
    export(small_run, tmp_path / "again.npz", epoch=2, commit="abc")
    assert (tmp_path / "again.npz").read_bytes() == exported.read_bytes()


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
        (".json", truncate),
        (".json", forget_hash),
        (".json", make_list),
        (".json", remove),
    ],
)
def test_a_damaged_export_is_named(exported, suffix, damage):
    damage(exported.with_suffix(suffix))
    with pytest.raises(UserError, match="small.npz or the .json beside it is missing or damaged"):
        load_pretrained(exported)


def test_the_generator_that_comes_with_the_package_is_the_one_of_the_published_run():
    """It redraws the run's grid after epoch 50, within a grey level."""
    published = images.read_png(ROOT / "docs" / "results" / "epoch_0050.png").astype(int)
    drawn = images.make_grid(images.to_uint8(load_pretrained().sample_training_noise()), zoom=3)
    assert np.abs(drawn - published).max() <= 1
    record = json.loads(WEIGHTS.with_suffix(".json").read_text())
    assert record["epoch"] == 50
    assert TrainConfig(**record["config"]) == TrainConfig()
    config = json.loads((ROOT / "docs" / "results" / "config.json").read_text())
    assert {name: record[name] for name in config} == config


def test_the_command_draws_from_it_without_a_run(tmp_path):
    flags = ["--pretrained", "--count=9", "--seed=2"]
    finished = command("-m", "gan_tf", "sample", *flags, cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert finished.stderr == ""
    assert finished.stdout == "samples.png: 9 images from epoch 50 of the pretrained run\n"
    assert list(contents(tmp_path)) == [Path("samples.png")]
    grid = images.make_grid(images.to_uint8(load_pretrained().sample(9, seed=2)), zoom=3)
    np.testing.assert_array_equal(images.read_png(tmp_path / "samples.png"), grid)


@pytest.mark.parametrize("flag", ["--run-dir=runs/other", "--epoch=30"])
def test_the_flags_of_a_run_do_not_go_with_it(flag):
    said = refusal("-m", "gan_tf", "sample", "--pretrained", flag)
    assert "--pretrained" in said and flag.partition("=")[0] in said
