import csv
import dataclasses

import numpy as np
import pytest
from helpers import SMALL_IMAGES, SMALL_STEPS, assert_same_outcome, contents, outcome

from gan_tf import TrainConfig, UserError, data, train
from gan_tf.evaluation.variety import variety
from gan_tf.gan import METRICS
from gan_tf.run import images
from gan_tf.run.lock import NAME as LOCK
from gan_tf.run.rundir import RunDir


def test_a_run_leaves_all_results_of_the_assignment(small_run):
    run = RunDir(small_run)
    history = run.read_history()
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert [row["step"] for row in history] == [SMALL_STEPS * epoch for epoch in (1, 2, 3)]
    with open(run.history_path, newline="") as file:
        header = next(csv.reader(file))
    for name in [*METRICS, "generator_loss_std", "discriminator_loss_std"]:
        assert name in header
        assert all(np.isfinite(row[name]) for row in history)
    for row in history:
        assert row["images_per_second"] == pytest.approx(SMALL_IMAGES / row["seconds"])
    assert list(run.sample_paths()) == [1, 2, 3]
    assert run.snapshot_epochs() == [1, 2, 3]  # the requested ones, and the last
    assert run.loss_curves_path.stat().st_size > 10_000
    for path in [run.gif_path, run.epochs_path, run.training_images_path]:
        assert path.stat().st_size > 1_000
    assert len(list(small_run.glob("events.out.tfevents.*"))) == 1
    assert sorted(path.name for path in run.checkpoints.glob("*.index")) == [
        "ckpt-10.index",
        "ckpt-15.index",
    ]
    assert not list(small_run.rglob("*unfinished*"))
    files = {path for path in small_run.rglob("*") if path.is_file()}
    assert files == {*run.own_files(), small_run / LOCK}


def test_the_library_does_the_same_as_the_command_epoch_by_epoch(small_run, tmp_path):
    """`on_epoch` receives each row after everything about it has been written."""
    run = RunDir(tmp_path / "run")
    seen = []

    def look(row):
        seen.append(dict(row))
        assert run.read_history() == seen
        assert run.checkpoint_steps()[0] == row["step"]
        assert list(run.sample_paths()) == [row["epoch"] for row in seen]
        assert run.loss_curves_path.stat().st_size > 10_000  # also after the first epoch
        panels = 1 + row["epoch"]  # the training images, and each epoch so far
        assert images.read_png(run.epochs_path).shape == (390, 378 * panels - 12)
        assert not run.gif_path.exists()  # the command `gif` can make it at any time
        row.clear()  # some experiment trackers change the row

    choices = dict(dataset="synthetic", max_images=SMALL_IMAGES, batch_size=16, epochs=3)
    config = TrainConfig(**choices, snapshot_epochs=[1, 2], run_dir=run.path)
    assert train(config, on_epoch=look) == seen == run.read_history()
    assert_same_outcome(run.path, small_run)
    compared = outcome(small_run)
    assert sum("optimizer" in name[1] for name in compared) > 40
    assert sum("dropout_seeds" in name[1] for name in compared) == 2
    assert ("epoch_0002", "fixed_noise/.ATTRIBUTES/VARIABLE_VALUE") in compared


@pytest.fixture(scope="module")
def own_run(tmp_path_factory):
    """A run of one epoch on an array, with a short last batch; tests must not change it."""
    own = np.random.default_rng(0).integers(0, 256, [72, 28, 28], np.uint8)
    choices = dict(learning_rate=1e-30, epochs=1, batch_size=16)
    config = TrainConfig(**choices, run_dir=tmp_path_factory.mktemp("own") / "run")
    return config, own, train(config, images=own)


def test_a_history_row_holds_means_over_images(own_run):
    """With a learning rate near 0, the networks stay at chance level, and accuracies are counts."""
    (row,) = own_run[2]
    assert row["step"] == 5
    assert row["generator_loss"] == pytest.approx(np.log(2), abs=0.1)
    assert row["discriminator_loss"] == pytest.approx(2 * np.log(2), abs=0.1)
    assert 0 < row["generator_loss_std"] < 0.1
    for share in ["real_accuracy", "fake_accuracy"]:
        assert row[share] * 72 == pytest.approx(round(row[share] * 72), abs=1e-4)


def test_own_images_are_trained_on_and_distinguished(own_run, in_process):
    config, own, history = own_run
    run = RunDir(config.run_dir)
    shown = images.read_png(run.training_images_path)
    np.testing.assert_array_equal(shown, images.make_grid(own[:16, ..., None], images.ZOOM))
    recorded = run.read_config()[1]["real_variety"]
    assert recorded == pytest.approx(variety(own / 127.5 - 1), abs=1e-6)
    before = contents(run.path)
    assert train(config, images=own[..., None]) == history  # the same images: the run is finished
    other = own.copy()
    other[71, 27, 27] ^= 1
    for changed in [other, own[:71]]:
        with pytest.raises(UserError, match="`dataset` is array-.*, was array-"):
            train(config, images=changed)
    with pytest.raises(UserError, match="`dataset` is fashion_mnist, was array-"):
        train(config)
    with pytest.raises(UserError, match=r"`dataset` array-.* from Python: .*images=\.\.\."):
        train(dataclasses.replace(run.read_config()[0], epochs=2))
    assert contents(run.path) == before


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
        np.zeros([64, 28, 28, 3], np.uint8),
        np.zeros([0, 28, 28], np.uint8),
        np.zeros([28, 28], np.uint8),
        [[[0]], [[0, 0]]],
    ],
)
def test_images_of_another_kind_are_refused(tmp_path, wrong):
    with pytest.raises(
        UserError, match="`images` (must be uint8 of shape .*, not|are not an array)"
    ):
        train(TrainConfig(run_dir=tmp_path / "run"), images=wrong)
    assert contents(tmp_path) == {}


def test_a_batch_larger_than_the_data_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match="`batch_size` 6001 is larger than .* 6000 images"):
        train(TrainConfig(dataset="synthetic", batch_size=6001, run_dir=tmp_path / "run"))
    assert contents(tmp_path) == {}
