import dataclasses

import numpy as np
import pytest
from helpers import (
    SMALL_IMAGES,
    SMALL_STEPS,
    assert_same_outcome,
    contents,
    outcome,
)

from gan_tf import TrainConfig, UserError, data, train
from gan_tf.evaluation.variety import variety
from gan_tf.gan import METRICS
from gan_tf.run import images
from gan_tf.run.lock import NAME as LOCK
from gan_tf.run.rundir import RunDir


def test_a_run_leaves_all_results_of_the_assignment(small_run):
    run = RunDir(small_run)
    history = run.read_history(columns=[*METRICS, "generator_loss_std", "discriminator_loss_std"])
    assert [row["step"] for row in history] == [SMALL_STEPS * epoch for epoch in (1, 2, 3)]
    assert all(np.isfinite([*row.values()]).all() for row in history)
    for row in history:
        assert row["images_per_second"] == pytest.approx(SMALL_IMAGES / row["seconds"])
    assert list(run.sample_paths()) == [1, 2, 3]
    assert run.snapshot_epochs() == [1, 2, 3]  # as asked for, and the last
    assert run.loss_curves_path.stat().st_size > 10_000
    for path in [run.gif_path, run.epochs_path, run.training_images_path]:
        assert path.stat().st_size > 1_000
    assert len(list(small_run.glob("events.out.tfevents.*"))) == 1
    assert run.checkpoint_steps() == [3 * SMALL_STEPS, 2 * SMALL_STEPS]
    files = {path for path in small_run.rglob("*") if path.is_file()}
    assert files == {*run.own_files(), small_run / LOCK}


@pytest.fixture(scope="module")
def library_run(tmp_path_factory):
    """The small run from Python, with its images as an array; tests must not change it."""
    run = RunDir(tmp_path_factory.mktemp("library") / "run")
    choices = dict(dataset="synthetic", max_images=SMALL_IMAGES, batch_size=16, epochs=3)
    config = TrainConfig(**choices, snapshot_epochs=[1, 2], run_dir=run.path)
    seen = []

    def look(row):
        """Sees each row once everything about it is on the disk."""
        seen.append(dict(row))
        assert run.read_history() == seen
        assert run.checkpoint_steps()[0] == row["step"]
        assert list(run.sample_paths()) == [row["epoch"] for row in seen]
        assert run.loss_curves_path.stat().st_size > 10_000  # after the first one already
        panels = 1 + row["epoch"]  # the training images, and each epoch so far
        assert images.read_png(run.epochs_path).shape == (390, 378 * panels - 12)
        assert run.gif_path.exists() is False  # which the command `gif` makes at any time
        row.clear()  # as some experiment trackers do with the epoch

    own = data.load_images(config)[..., 0]
    history = train(config, images=own, on_epoch=look)
    assert history == seen
    return config, own, history


def test_the_library_does_the_same_as_the_command_epoch_by_epoch(library_run, small_run):
    config, own, history = library_run
    run = RunDir(config.run_dir)
    assert run.read_history() == history
    assert_same_outcome(run.path, small_run)
    shown = images.read_png(run.training_images_path)
    np.testing.assert_array_equal(shown, images.make_grid(own[:16, ..., None], images.ZOOM))
    recorded = run.read_config()[1]["real_variety"]
    assert recorded == pytest.approx(variety(own / 127.5 - 1), abs=1e-6)


def test_the_outcome_is_more_than_nothing(small_run):
    names = outcome(small_run)
    optimizer_slots = [name for name in names if "optimizer" in name[1]]
    dropout_seeds = [name for name in names if "dropout_seeds" in name[1]]
    assert len(optimizer_slots) > 40 and len(dropout_seeds) == 2
    assert ("epoch_0002", "fixed_noise/.ATTRIBUTES/VARIABLE_VALUE") in names


def test_own_images_are_distinguished(library_run):
    config, own, history = library_run
    before = contents(config.run_dir)
    assert train(config, images=own[..., None]) == history  # the same ones: finished
    other = own.copy()
    other[79, 27, 27] ^= 1
    for changed in [other, own[:79]]:
        with pytest.raises(UserError, match="`dataset` is array-.*, was array-"):
            train(config, images=changed)
    with pytest.raises(UserError, match="`dataset` is synthetic, was array-"):
        train(config)
    recorded = RunDir(config.run_dir).read_config()[0]
    with pytest.raises(UserError, match=r"`dataset` array-.* from Python: .*images=\.\.\."):
        train(dataclasses.replace(recorded, epochs=4))
    assert contents(config.run_dir) == before


def test_images_that_are_changed_while_they_are_trained_on_stay_as_they_are_recorded():
    given = np.full([2, 28, 28], 7, np.uint8)
    taken = data.own_images(given)
    given[:] = 9
    np.testing.assert_array_equal(taken, np.full([2, 28, 28, 1], 7))


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros([64, 28, 28], np.float32),
        np.zeros([64, 32, 32], np.uint8),
        np.zeros([0, 28, 28], np.uint8),
        [[[0]], [[0, 0]]],
    ],
)
def test_images_of_another_kind_are_refused(tmp_path, wrong):
    with pytest.raises(
        UserError, match="`images` (must be uint8 of shape .*, not|are not an array)"
    ):
        train(TrainConfig(run_dir=tmp_path / "run"), images=wrong)
    assert contents(tmp_path) == {}
