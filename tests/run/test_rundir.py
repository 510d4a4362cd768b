import json
import re
import subprocess
import sys

import pytest
from helpers import ROOT, contents

import gan_tf
from gan_tf import TrainConfig, UserError
from gan_tf.run import rundir
from gan_tf.run.lock import NAME as LOCK
from gan_tf.run.rundir import RunDir


def begun(tmp_path, **choices):
    run = RunDir(tmp_path / "run")
    run.write_config(TrainConfig(**choices), {"threads": 2, "gan_tf": "2.0.0"})
    return run


def change_record(run, **changes):
    record = json.loads(run.config_path.read_text())
    record |= changes
    run.config_path.write_text(json.dumps(record))


def test_the_config_is_read_back_as_it_was(tmp_path):
    choices = dict(epochs=7, learning_rate=0.1 + 0.2, max_images=100, snapshot_epochs=[3, 5])
    run = begun(tmp_path, **choices)
    assert run.read_config() == (TrainConfig(**choices), {"threads": 2, "gan_tf": "2.0.0"})
    record = json.loads(run.config_path.read_text())
    assert record["format"] == rundir.FORMAT == 2 and record["config"]["batch_size"] == 64


def test_a_run_without_a_format_number_is_of_format_1_and_goes_on(tmp_path):
    run = begun(tmp_path, epochs=7)
    record = json.loads(run.config_path.read_text())
    del record["format"]
    record["config"]["run_dir"] = "runs/fashion_mnist"  # as 1.0.0 wrote it
    run.config_path.write_text(json.dumps(record))
    assert run.read_config()[0].epochs == 7
    run.check(TrainConfig(epochs=7))


def test_a_run_of_a_format_to_come_is_refused_with_both_versions(tmp_path):
    run = begun(tmp_path)
    change_record(run, format=99, environment={"gan_tf": "7.5.0"})
    before = contents(tmp_path)
    with pytest.raises(UserError) as refused:
        run.check(TrainConfig())
    message = str(refused.value)
    assert (
        "config.json is of format 99" in message
        and f"gan_tf {gan_tf.__version__} knows 1 to 2" in message
    )
    assert "gan_tf 7.5.0" in message and "damaged" not in message
    assert contents(tmp_path) == before


def test_fields_that_this_version_does_not_know_are_named_with_both_versions(tmp_path):
    run = begun(tmp_path)
    record = json.loads(run.config_path.read_text())
    record["config"] |= {"optimizer": "RMSprop"}
    change_record(run, config=record["config"], environment={"gan_tf": "7.5.0"})
    with pytest.raises(UserError, match="does not know .optimizer.: .*gan_tf 7.5.0") as refused:
        run.check(TrainConfig())
    assert gan_tf.__version__ in str(refused.value) and "damaged" not in str(refused.value)


@pytest.mark.parametrize(
    "name, unused, used", [("label_smoothing", 0.0, 0.1), ("update", "simultaneous", "alternating")]
)
def test_a_field_that_was_dropped_stops_only_runs_that_used_it(tmp_path, name, unused, used):
    run = begun(tmp_path)
    config = json.loads(run.config_path.read_text())["config"]
    change_record(run, config=config | {name: unused})
    run.check(TrainConfig())
    change_record(run, config=config | {name: used})
    with pytest.raises(UserError, match=f"does not know .{name}."):
        run.check(TrainConfig())


@pytest.mark.parametrize("format", [0, "2", [2]])
def test_a_format_that_is_no_number_of_one_is_refused(tmp_path, format):
    run = begun(tmp_path)
    change_record(run, format=format)
    with pytest.raises(UserError, match="config.json"):
        run.read_config()


def test_the_same_settings_pass_and_a_run_may_grow_or_move(tmp_path):
    run = begun(tmp_path, epochs=3)
    run.check(TrainConfig(epochs=3))
    run.check(TrainConfig(epochs=4, run_dir="moved", data_dir="there", manual_dir="here"))
    run.check(TrainConfig(epochs=4, snapshot_epochs=[1, 2, 4]))


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


DAMAGED = ["", "{", "[]", "7", '{"config": {"depth": 3}}', '{"config": {}}', "[" * 100_000]


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_config_is_named(tmp_path, text):
    run = begun(tmp_path)
    run.config_path.write_text(text)
    with pytest.raises(UserError, match="config.json is damaged"):
        run.check(TrainConfig())


def test_a_config_with_an_impossible_value_is_damaged(tmp_path):
    run = begun(tmp_path)
    change_record(run, config={"batch_size": 0})
    with pytest.raises(UserError, match="config.json is damaged.*`batch_size`"):
        run.read_config()


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


def test_a_run_is_locked_until_it_is_left(tmp_path):
    run = begun(tmp_path)
    with run.locked():
        with pytest.raises(UserError, match="in use by"), RunDir(run.path).locked():
            pytest.fail("two hold one run")
        run.check_held()
    with RunDir(run.path).locked():
        assert (run.path / LOCK).exists()


@pytest.mark.parametrize("below", ["", "runs/new"])
def test_a_run_folder_that_cannot_be_made_is_named(tmp_path, below):
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / below
    with pytest.raises(UserError, match=f"`run_dir` {re.escape(str(folder))}"):
        with RunDir(folder).locked():
            pytest.fail("there is nowhere to write")


def test_what_stands_in_the_way_of_a_runs_files_is_named(tmp_path):
    run = begun(tmp_path)
    run.prepare()
    before = contents(tmp_path)
    run.prepare()
    assert contents(tmp_path) == before
    run.sample_path(1).mkdir()
    with pytest.raises(UserError, match="epoch_0001.png is not a file"):
        run.prepare()


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


def test_a_later_version_may_add_columns(tmp_path):
    """Older rows have an empty cell in a new column, and newer rows in a removed one."""
    run = RunDir(tmp_path)
    old, new = {"epoch": 1, "step": 5, "seconds": 0.5}, {"epoch": 2, "step": 10, "quality": 0.25}
    run.write_history([old, new])
    assert run.history_path.read_text().splitlines() == [
        "epoch,step,seconds,quality",
        "1,5,0.5,",
        "2,10,,0.25",
    ]
    assert run.read_history() == [{**old, "quality": None}, {**new, "seconds": None}]
    run.write_history(run.read_history())  # as a resumed run does, once more
    assert run.read_history() == [{**old, "quality": None}, {**new, "seconds": None}]
    with pytest.raises(UserError, match="history.csv has lost rows or columns"):
        run.read_history(columns=["quality"])


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
    ["\x00\xff", "epoch,step\n1,5\n3,10\n", "epoch,step\n1\n", "epoch,step\n1,2,3\n", "step\n5\n"]
    + ["epoch,step,seconds\n1,5,inf\n"],
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
    assert run.sample_path(2).name == "epoch_0002.png"


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
    own += [
        run.checkpoint_path(0).with_suffix(".index"),
        run.checkpoint_path(5).with_suffix(".index"),
        run.snapshot_path(1).with_suffix(".index"),
    ]
    mine = [run.path / "notes.txt", run.samples / "mine.png", run.checkpoints / "ckpt-5.txt"]
    for path in [*own, *mine]:
        path.write_text(path.name)
    own += [run.config_path, run.history_path]
    return run, sorted(own), mine


def test_a_runs_own_files_are_known_by_their_names(tmp_path):
    run, own, _ = fake_run(tmp_path)
    assert run.own_files() == own


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
    """Faults 8 and 27: kill -9 before each single change that a replacement makes."""
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
    foreign = [run.path / ".unfinished-77-thesis.tex", run.checkpoints / "my_temp"]
    foreign[0].touch()
    foreign[1].mkdir()
    run.remove_unfinished()
    left = contents(tmp_path)
    assert {tmp_path / name for name in left.keys() - before.keys()} == set(foreign)


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a right there")
@pytest.mark.parametrize(
    "target, message", [("nowhere", "a broken link"), ("file", "not a folder")]
)
def test_a_run_folder_that_is_a_link_elsewhere_is_refused(tmp_path, target, message):
    """Fault 32, as when another disk is not mounted."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "run").symlink_to(tmp_path / target)
    run = RunDir(tmp_path / "run")
    assert not run.is_finished(TrainConfig())
    with pytest.raises(UserError, match=f"`run_dir` {run.path} is {message}"), run.locked():
        pytest.fail("there is nothing to lock")


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of POSIX")
def test_a_path_that_is_too_long_as_a_whole_is_refused(tmp_path):
    """Fault 35: each part of it is short enough."""
    run = RunDir(tmp_path.joinpath(*["part" * 20] * 60))
    assert not run.is_finished(TrainConfig())
    with pytest.raises(UserError, match="`run_dir` .* cannot be used"), run.locked():
        pytest.fail("no system takes it")
    assert contents(tmp_path) == {}
