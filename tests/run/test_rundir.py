import json
import re
import subprocess
import sys

import pytest
from helpers import ROOT, contents

import gan_tf
from gan_tf import TrainConfig, UserError
from gan_tf.run import rundir
from gan_tf.run.rundir import RunDir


def begun(tmp_path, **choices):
    run = RunDir(tmp_path / "run")
    run.write_config(TrainConfig(**choices), {"threads": 2, "gan_tf": "7.5.0"})
    return run


def change_config(run, change):
    record = json.loads(run.config_path.read_text())
    change(record)
    run.config_path.write_text(json.dumps(record))


def test_the_config_is_read_back_as_it_was(tmp_path):
    """Also without a format number and with the dropped fields of older versions."""
    choices = dict(epochs=7, learning_rate=0.1 + 0.2, max_images=100, snapshot_epochs=[3, 5])
    run = begun(tmp_path, **choices)
    recorded = TrainConfig(**choices), {"threads": 2, "gan_tf": "7.5.0"}
    assert run.read_config() == recorded

    def make_older(record):
        assert record.pop("format") == rundir.FORMAT == 2
        record["config"] |= {"label_smoothing": 0.0, "update": "simultaneous"}

    change_config(run, make_older)
    assert run.read_config() == recorded


@pytest.mark.parametrize(
    "changes, unknown",
    [
        ({"format": 99}, "format 99"),
        ({"format": [2]}, r"format \[2\]"),
        ({"config": {"optimizer": "RMSprop"}}, "optimizer"),
        ({"config": {"label_smoothing": 0.1, "update": "alternating"}}, "label_smoothing, update"),
    ],
)
def test_a_run_of_another_version_is_refused_with_both_versions(tmp_path, changes, unknown):
    run = begun(tmp_path)
    change_config(run, lambda record: record.update(changes))
    before = contents(tmp_path)
    message = f"gan_tf {gan_tf.__version__} does not know .{unknown}.: .* gan_tf 7.5.0"
    with pytest.raises(UserError, match=f"config.json has what {message}, or choose"):
        run.check(TrainConfig())
    run.check_replaceable()
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"config": {}}', "[" * 100_000]
    + ['{"config": {"batch_size": 0}, "environment": {"gan_tf": "2.0.0"}}'],
)
def test_a_damaged_config_is_named(tmp_path, text):
    run = begun(tmp_path)
    run.config_path.write_text(text)
    with pytest.raises(UserError, match="config.json is damaged"):
        run.check(TrainConfig())


def test_fewer_epochs_than_are_done_are_refused(tmp_path):
    run = begun(tmp_path, epochs=5)
    run.write_history([{"epoch": epoch, "step": 10 * epoch} for epoch in (1, 2)])
    run.checkpoints.mkdir()
    run.checkpoint_path(20).with_suffix(".index").touch()
    run.check(TrainConfig(epochs=2))
    with pytest.raises(UserError, match="`epochs` is 1, and 2 are started or complete"):
        run.check(TrainConfig(epochs=1))
    run.checkpoint_path(25).with_suffix(".index").touch()  # in mid-epoch
    with pytest.raises(UserError, match="`epochs` is 2, and 3 are started or complete"):
        run.check(TrainConfig(epochs=2))


def test_checkpoints_without_a_config_are_no_fresh_start(tmp_path):
    run = RunDir(tmp_path)
    run.checkpoints.mkdir()
    run.check(TrainConfig())  # an empty folder holds nothing to lose
    run.checkpoint_path(5).with_suffix(".index").touch()
    for refuse in [lambda: run.check(TrainConfig()), run.check_replaceable]:
        with pytest.raises(UserError, match="holds ckpt-5.index but no config.json"):
            refuse()


def test_a_folder_without_a_run_is_named(tmp_path):
    (tmp_path / "file").touch()
    for folder in [tmp_path, tmp_path / "missing", tmp_path / "file"]:
        with pytest.raises(UserError, match=f"`run_dir` {re.escape(str(folder))} holds no run"):
            RunDir(folder).read_config()


def test_a_run_that_never_began_leaves_nothing(tmp_path):
    run = RunDir(tmp_path / "runs" / "new")
    with pytest.raises(ZeroDivisionError), run.locked():
        _ = 1 / 0
    assert contents(tmp_path) == {}


@pytest.mark.skipif(sys.platform == "win32", reason="needs symbolic links")
@pytest.mark.parametrize(
    "name, reason",
    [
        ("file", "File exists"),
        ("file/runs/new", "Not a directory"),
        ("broken link", "File exists"),  # as when another disk is not mounted
        ("/".join(["part" * 20] * 60), "File name too long"),  # each part is short enough
    ],
)
def test_a_folder_that_cannot_hold_a_run_is_refused(tmp_path, name, reason):
    (tmp_path / "file").touch()
    (tmp_path / "broken link").symlink_to(tmp_path / "nowhere")
    before = contents(tmp_path)
    run = RunDir(tmp_path / name)
    assert not run.is_finished(TrainConfig())
    with pytest.raises(UserError, match=f"{run.path} cannot be used as a folder: {reason}"):
        run.locked().__enter__()
    assert contents(tmp_path) == before


def test_what_stands_in_the_way_of_a_runs_files_is_named(tmp_path):
    run = begun(tmp_path)
    run.prepare()
    before = contents(tmp_path)
    run.prepare()
    assert contents(tmp_path) == before
    run.sample_path(1).mkdir()
    with pytest.raises(UserError, match="epoch_0001.png is not a file"):
        run.prepare()


def test_the_history_is_read_back_exactly_and_may_get_new_columns(tmp_path):
    """Older rows have an empty cell in a new column, and newer rows in a removed one."""
    run = RunDir(tmp_path)
    assert run.read_history() == []
    old = {"epoch": 1, "step": 5, "generator_loss": 1 / 3, "seconds": 1e-17}
    new = {"epoch": 2, "step": 10, "quality": 0.25}
    run.write_history([old, new])
    header, *_ = run.history_path.read_text().splitlines()
    assert header == "epoch,step,generator_loss,seconds,quality"
    rows = [old | {"quality": None}, new | {"generator_loss": None, "seconds": None}]
    assert run.read_history() == rows
    run.write_history(rows)  # as a resumed run does
    assert run.read_history() == rows
    for missing in {"columns": ["quality"]}, {"at_least": 3}:
        with pytest.raises(UserError, match="history.csv has lost rows or columns"):
            run.read_history(**missing)


def test_a_table_that_a_spreadsheet_has_saved_is_read(tmp_path):
    """With a byte order mark, and in some countries with semicolons and decimal commas."""
    run = RunDir(tmp_path)
    rows = [
        {"epoch": 1, "images": 10_000, "classifier": "mnist-0", "fcd": 2.5, "kid_std_error": None},
        {"epoch": 2, "images": 10_000, "classifier": "mnist-0", "fcd": 1.0, "kid_std_error": 0.25},
    ]
    run.write_evaluation(rows)
    text = run.evaluation_path.read_text()
    assert "1,10000,mnist-0,2.5," in text and run.read_evaluation() == rows
    for changed in [
        text,
        text.replace(",", ";").replace(".", ","),
        text.replace("10000", "10000.0").replace("2.5,", "2.5,NaN"),  # as version 2.0 wrote
    ]:
        run.evaluation_path.write_text(changed, encoding="utf-8-sig")
        assert run.read_evaluation() == rows
        assert [type(value) for value in run.read_evaluation()[0].values()] == [
            *(int, int, str, float, type(None))
        ]
    assert run.best_evaluated_epoch() == 2 and run.best_kept_epoch() is None
    for damaged in ["epoch,fcd\n1.5,2\n", "epoch,fcd\n1,nan\n", "epoch;fcd\n1\n", "fcd\n2\n"]:
        run.evaluation_path.write_text(damaged)
        with pytest.raises(UserError, match="evaluation.csv is damaged"):
            run.read_evaluation()


@pytest.mark.parametrize(
    "table",
    ["\xff", "epoch,step\n1,5\n3,10\n", "epoch,step\n1\n", "step\n5\n", "epoch,step\n1,inf\n"],
)
def test_a_damaged_history_is_named(tmp_path, table):
    run = RunDir(tmp_path)
    run.history_path.write_bytes(table.encode("latin-1"))
    with pytest.raises(UserError, match="history.csv has lost rows or columns, or is damaged"):
        run.read_history()


def test_epochs_are_ordered_by_number(tmp_path):
    run = RunDir(tmp_path)
    run.samples.mkdir()
    for epoch in [10_000, 9_999, 2, 10]:
        run.sample_path(epoch).touch()
    for foreign in ["epoch_x.png", "epoch_0003.png.txt", "other.png"]:
        (run.samples / foreign).touch()
    assert list(run.sample_paths()) == [2, 10, 9_999, 10_000]


def fake_run(tmp_path):
    """Creates files with the names of a run, and others beside them."""
    run = begun(tmp_path)
    run.prepare()
    run.write_history([{"epoch": 1, "step": 5}])
    own = [
        run.loss_curves_path,
        run.gif_path,
        run.sample_path(1),
        run.path / "events.out.tfevents.1",
    ]
    prefixes = run.checkpoint_path(0), run.checkpoint_path(5), run.snapshot_path(1)
    own += [prefix.with_suffix(".index") for prefix in prefixes]
    mine = [run.path / "notes.txt", run.samples / "mine.png", run.checkpoints / "ckpt-5.txt"]
    for path in [*own, *mine]:
        path.write_text(path.name)
    own += [run.config_path, run.history_path]
    return run, sorted(own), mine


REPLACE = """
import os, shutil, signal, sys
from gan_tf import TrainConfig
from gan_tf.run.rundir import RunDir

template, work = sys.argv[1:]
changes = 0

def die_in_time(event, _):
    global changes
    changes += event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir")
    if changes > kill_at:
        os.kill(os.getpid(), signal.SIGKILL)

for kill_at in range(200):
    run = RunDir(shutil.copytree(template, f"{work}/{kill_at}"))
    process = os.fork()
    if not process:
        sys.addaudithook(die_in_time)
        for suffix in ("index", "data-00000-of-00001"):
            run.new_checkpoint_path.with_suffix(f"{run.new_checkpoint_path.suffix}.{suffix}").write_text("new")
        run.write_config(TrainConfig(seed=5), {"gan_tf": "2.0.0"}, run.new_config_path)
        run.replace()
        os._exit(0)
    if os.waitpid(process, 0)[1] == 0:
        break
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and kill -9")
def test_a_replacement_killed_at_any_move_ends_with_one_whole_run(tmp_path):
    """Kill -9 before each single change that a replacement makes."""
    template, own, mine = fake_run(tmp_path)
    (template.path / ".gan_tf.new").mkdir()  # belongs to the user, in spite of its name
    mine.append(template.path / ".gan_tf.new" / "thesis.tex")
    mine[-1].write_text("thesis.tex")
    work = tmp_path / "killed"
    subprocess.run([sys.executable, "-c", REPLACE, template.path, work], check=True, cwd=ROOT)
    old = {path.relative_to(template.path): path.read_bytes() for path in own}
    outcomes = []
    for number in range(len(list(work.iterdir()))):
        run = RunDir(work / str(number))
        run.settle()
        run.remove_unfinished()
        left = {path.relative_to(run.path): path.read_bytes() for path in run.own_files()}
        outcomes.append(left == old)
        if left != old:
            assert run.read_config()[0].seed == 5
            names = ["ckpt-0.data-00000-of-00001", "ckpt-0.index", "config.json"]
            assert [path.name for path in left] == names
            assert {left[path] for path in [*left][:2]} == {b"new"}
        others = {run.path / path.relative_to(template.path) for path in mine}
        assert {path for path in run.path.rglob("*") if path.is_file()} == {
            *others,
            *run.own_files(),
        }
        assert all(path.read_text() == path.name for path in others)
    # After an early kill the old run is whole, after a later one the new run.
    assert outcomes == sorted(outcomes, reverse=True)
    assert outcomes.count(True) >= 2 and outcomes.count(False) > 10


def test_what_a_killed_process_was_writing_is_removed_and_nothing_else(tmp_path):
    run, own, mine = fake_run(tmp_path)
    before = contents(tmp_path)
    (run.path / ".unfinished-77-config.json").touch()
    (run.samples / ".unfinished-77-epoch_0002.png").touch()
    (run.checkpoints / "ckpt-9_temp").mkdir()
    (run.checkpoints / "ckpt-9_temp" / "part").touch()
    foreign = [run.path / ".unfinished-77-thesis.tex", run.path / ".unfinished-x-config.json"]
    foreign += [run.checkpoints / "my_temp"]
    for path in foreign:
        path.mkdir()
    run.remove_unfinished()
    left = contents(tmp_path)
    assert {tmp_path / name for name in left.keys() - before.keys()} == set(foreign)
