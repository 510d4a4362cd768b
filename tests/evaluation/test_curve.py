import csv
import dataclasses
import json
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from helpers import EVALUATED, contents, refusal, small
from helpers import EVALUATED_COUNT as COUNT

from gan_tf import TrainConfig, evaluate_run, evaluate_snapshot, load_snapshot
from gan_tf.evaluation import curve as module
from gan_tf.evaluation.curve import QualityCurve
from gan_tf.report import read_run
from gan_tf.run import checkpoints
from gan_tf.run.rundir import RunDir

# By rank: all that a curve needs to know of a generator's quality.
RANKED = [
    {"images": COUNT, "fcd": fcd, "class_names": ["a", "b"], "class_shares": [fcd / 9, 1 - fcd / 9]}
    | {"memorised": False, "classifier": "synthetic-01234567"}
    for fcd in (1.5, 2.5, 3.5, 4.5)
]


@pytest.fixture
def make_curve(tmp_path, monkeypatch):
    """Returns a function that starts or resumes the curve of a run in the same folder."""
    references = SimpleNamespace(classifier=SimpleNamespace(id=RANKED[0]["classifier"]))
    monkeypatch.setattr(module, "COUNT", COUNT)
    monkeypatch.setattr(module, "load_references", lambda _: references)
    monkeypatch.setattr(module, "evaluate_snapshot", lambda snapshot, *_, **__: snapshot.result)
    monkeypatch.setattr(module.artifacts, "write_quality", lambda _: None)  # takes a second

    def make(**choices):
        config = TrainConfig(**{"epochs": 4, "snapshot_epochs": (4,)} | choices)
        curve = QualityCurve(RunDir(tmp_path / "run"), config)
        curve.resume()
        return curve

    return make


def finish(curve, epoch, result):
    """Does what training does after an epoch."""

    def save(epoch):
        checkpoints.save_snapshot(curve.run, epoch, {}, tf.Variable(0.0))

    if epoch in {*curve.config.snapshot_epochs, curve.config.epochs}:
        save(epoch)
    return curve.add(SimpleNamespace(epoch=epoch, result={"epoch": epoch} | result), save)


@pytest.mark.parametrize("killed_after", ["save_snapshot", "write_evaluation", "add"])
def test_the_best_epoch_is_kept_whenever_the_process_is_killed(
    make_curve, monkeypatch, killed_after
):
    """In the second epoch, which is the best one, after each kind of file."""
    by_epoch = dict(enumerate([RANKED[rank] for rank in (2, 0, 3, 1)], start=1))
    finish(make_curve(), 1, by_epoch[1])
    curve = make_curve()
    owner = {"save_snapshot": checkpoints, "write_evaluation": curve.run, "add": curve}
    done = getattr(owner[killed_after], killed_after)

    def kill(*arguments):
        done(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(owner[killed_after], killed_after, kill)
        finish(curve, 2, by_epoch[2])
    run = RunDir(curve.run.path)
    assert run.best_evaluated_epoch() == run.best_kept_epoch() is not None
    curve = make_curve()
    for epoch in (2, 3, 4):
        scores = finish(curve, epoch, by_epoch[epoch])
    assert run.best_evaluated_epoch() == run.best_kept_epoch() == 2
    assert run.snapshot_epochs() == [2, 4]
    rows = run.read_evaluation()
    assert [(row["epoch"], row["kept_as_best"]) for row in rows] == [(1, 1), (2, 1), (3, 0), (4, 0)]
    for row in rows:
        result = by_epoch[row["epoch"]]
        shares = {f"share_{index}": share for index, share in enumerate(result["class_shares"])}
        expected = result | shares | {"epoch": row["epoch"]}
        del row["kept_as_best"], expected["class_names"], expected["class_shares"]
        assert row == expected
    assert scores == {name: value for name, value in row.items() if name != "classifier"}


def test_a_snapshot_that_was_asked_for_stays_though_a_later_epoch_is_better(make_curve):
    """By an earlier command, as its last epoch, or by a later one, also for the best epoch."""
    best, second, third, fourth = RANKED
    finish(make_curve(epochs=1), 1, fourth)
    finish(make_curve(), 2, third)
    finish(make_curve(snapshot_epochs=(2,), epochs=5), 3, second)
    curve = make_curve(epochs=5)
    assert curve.run.snapshot_epochs() == [1, 2, 3]
    finish(curve, 4, best)
    assert curve.run.snapshot_epochs() == [1, 2, 4]


def test_evaluating_a_run_measures_every_snapshot(run_copy, data_dir, in_process):
    flags = ["--all-epochs", f"--count={COUNT}", "--seed=1", "--data-dir", data_dir, "--json"]
    finished = in_process("evaluate", "--run-dir", run_copy, *flags)
    assert (finished.returncode, finished.stderr) == (0, "")
    results, run = json.loads(finished.stdout), RunDir(run_copy)
    second = evaluate_snapshot(load_snapshot(run_copy, 2), COUNT, seed=1, data_dir=data_dir)
    assert results[1] == second
    with open(run.evaluation_path, newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["epoch"], row["images"]) for row in table] == [(e, str(COUNT)) for e in "123"]
    fcd = [result["fcd"] for result in results]
    for row, result, trained in zip(table, results, run.read_history(), strict=True):
        shares = [row.pop(f"share_{index}") for index in range(6)]
        assert list(map(float, shares)) == result.pop("class_shares")
        assert row.pop("memorised") == str(int(result.pop("memorised")))
        assert row.pop("classifier") == result.pop("classifier")
        del result["class_names"]
        assert {name: float(cell) for name, cell in row.items()} == result
        assert result["variety"] == pytest.approx(trained["variety"])
    assert [row["fcd"] for row in read_run(run_copy).evaluation] == fcd
    assert run.best_evaluated_epoch() == run.best_kept_epoch() == 1 + np.argmin(fcd)
    assert run.quality_path.stat().st_size > 1000


def test_no_row_is_lost_that_cannot_be_measured_again(run_copy, data_dir, references):
    run = RunDir(run_copy)
    for epoch in (1, 2):
        checkpoints.remove_snapshot(run, epoch)
    lost = [{"epoch": epoch, "images": COUNT, "fcd": 9.0, "fcd_floor": 0.5} for epoch in (1, 2)]
    run.write_evaluation([*lost, {"epoch": 3, "images": 10_000, "fcd": 1.0, "kept_as_best": 1}])
    (result,) = evaluate_run(run_copy, COUNT, data_dir=data_dir)
    rows = run.read_evaluation()
    found = [(row["epoch"], row["images"], row["fcd"]) for row in rows]
    assert found == [(1, COUNT, 9.0), (2, COUNT, 9.0), (3, COUNT, result["fcd"])]
    assert (rows[0]["fcd_floor"], rows[2]["kept_as_best"]) == (0.5, 1)
    assert (rows[0]["classifier"], rows[2]["classifier"]) == (None, references.classifier.id)

    before = run.evaluation_path.read_bytes()
    with pytest.warns(UserWarning, match="is not changed: .* with this classifier and number of"):
        (other,) = evaluate_run(run_copy, COUNT + 1, data_dir=data_dir)
    assert other["images"] == COUNT + 1
    config, environment = run.read_config()
    run.write_config(dataclasses.replace(config, ema_decay=0.5), environment)
    with pytest.warns(UserWarning, match="is not changed: it is of the averaged generator"):
        evaluate_run(run_copy, COUNT, averaged=False, data_dir=data_dir)
    assert run.evaluation_path.read_bytes() == before


def test_training_measures_its_epochs_and_resumes_its_table(
    small_run, data_dir, tmp_path, in_process
):
    run = RunDir(tmp_path / "run")

    def train(epochs):
        flags = ["--snapshot-epochs=1", "--evaluate-every=1", f"--data-dir={data_dir}"]
        return [*small(run.path), f"--epochs={epochs}", *flags]

    finished = in_process(*train(1))
    assert (finished.returncode, finished.stderr) == (0, "")
    (first,), (trained,) = run.read_evaluation(), run.read_history()
    assert (first["epoch"], first["images"]) == (1, COUNT)
    assert first["variety"] == trained["variety"]
    assert f"variety {trained['variety']:.2f}, FCD {first['fcd']:.2f}" in finished.stdout
    (events,) = run.path.glob("events.out.tfevents.*")
    scalars = {}
    for record in tf.data.TFRecordDataset(str(events)).as_numpy_iterator():
        for value in tf.compat.v1.Event.FromString(record).summary.value:
            _, _, name = value.tag.rpartition("/")
            assert name not in scalars
            scalars[name] = tf.make_ndarray(value.tensor)
    for name, value in trained.items() | first.items():
        if name not in ("epoch", "step", "classifier", "kept_as_best"):
            assert scalars[name] == np.float32(value), name

    run.write_evaluation([first | {"images": 2000}])  # as of `evaluate --all-epochs --count 2000`
    before = contents(run.path)
    assert f"another number of images than {COUNT}" in refusal(*train(2), run=in_process)
    assert contents(run.path) == before
    run.write_evaluation([first])
    text = run.evaluation_path.read_text().replace(",", ";").replace(".", ",")
    run.evaluation_path.write_text(text, encoding="utf-8-sig")  # as a German spreadsheet saves it
    finished = in_process(*train(2))
    assert (finished.returncode, finished.stderr) == (0, "")
    again, second = run.read_evaluation()
    assert again == first and second["epoch"] == 2
    assert run.snapshot_epochs() == [1, 2]
    plain = RunDir(small_run)  # the same training without evaluation, to the last bit
    for row, expected in zip(run.read_history(), plain.read_history()):
        for name in ("generator_loss", "discriminator_loss", "variety"):
            assert row[name] == expected[name]
    assert run.sample_paths()[2].read_bytes() == plain.sample_paths()[2].read_bytes()


def test_the_best_epoch_is_the_best_one_with_a_snapshot(run_copy, in_process):
    run = RunDir(run_copy)
    run.write_evaluation([{"epoch": epoch, "fcd": fcd} for epoch, fcd in [(1, 3), (2, 1), (3, 2)]])
    assert load_snapshot(run_copy, "best").epoch == 2
    checkpoints.remove_snapshot(run, 2)  # as version 2.0 did not keep it
    assert (run.best_evaluated_epoch(), run.best_kept_epoch()) == (2, 3)
    with pytest.warns(UserWarning, match="epoch 2 was better than epoch 3, but has no snapshot"):
        finished = in_process("sample", "--run-dir", run_copy, "--epoch=best")
    assert finished.stdout.endswith("64 images from epoch 3\n")


@pytest.mark.campaign
def test_kill_9_before_or_after_the_table_loses_no_best_epoch(data_dir, tmp_path, launcher):
    """The process is killed as it puts a file in place; then the same command resumes."""
    run = RunDir(tmp_path / "run")
    flags = ["--snapshot-epochs=2", "--epochs=2", "--evaluate-every=1", f"--data-dir={data_dir}"]
    arguments = [*small(run.path), *flags]
    few_images = "\n".join(
        f"import {setting.rpartition('.')[0]}; {setting} = {number}"
        for setting, number in EVALUATED.items()
    )
    for name, best in [("evaluation.csv", None), ("quality.png", 1)]:
        kill = f"""
import os, signal, sys
def kill(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith({name!r}):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(kill)
"""
        finished = launcher.run(*arguments, prelude=few_images + kill)
        assert finished.returncode == -signal.SIGKILL
        assert run.snapshot_epochs() == [1] and run.checkpoint_steps() == [0]
        assert run.best_evaluated_epoch() == best
    assert launcher.run(*arguments, prelude=few_images).returncode == 0
    assert [row["epoch"] for row in run.read_evaluation()] == [1, 2]
    best = run.best_evaluated_epoch()
    assert run.best_kept_epoch() == best and run.snapshot_epochs() == sorted({best, 2})
