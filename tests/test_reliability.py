"""Faults 20 to 46 of docs/reliability.md, where no smaller test holds them."""

import os
import re
import shutil
import threading

import pytest
from helpers import ROOT, assert_same_outcome, contents, refusal, small, truncate

from gan_tf import TrainConfig, train
from gan_tf.run.rundir import RunDir

campaign = pytest.mark.campaign
TINY = ["--dataset=synthetic", "--max-images=64", "--batch-size=32", "--epochs=1", "--latent-dim=4"]


def test_each_fault_has_a_row_and_each_row_names_tests_that_exist():
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \|.*\|([^|]*)\|$", page, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1))
    tests = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/test_*.py"))
    for number, names in rows:
        assert names.strip(), number
        for name in re.findall(r"`(\w+)`", names):
            assert f"def {name}" in tests, (number, name)


@campaign
def test_20_28_overwrite_replaces_a_run_and_touches_nothing_else(run_copy, tmp_path, in_process):
    """In the run's own folders, in a run nested below, and behind a link to another disk."""
    foreign = {
        "samples/a.wav": b"sound",
        "checkpoints/m.pt": b"weights",
        "checkpoints/mine_temp/part": b"part",
        "snapshots/x.bak": b"copy",
        "lock": b"key",
        "nested/.unfinished-1-a": b"half",
        "nested/config.json": b"{}",
    }
    elsewhere = tmp_path / "another disk"
    for path in run_copy.glob("checkpoints/*.data-*"):  # fault 4: none can be read
        truncate(path)
    shutil.move(run_copy / "checkpoints", elsewhere)
    (run_copy / "checkpoints").symlink_to(elsewhere)
    for name, content in foreign.items():
        (run_copy / name).parent.mkdir(exist_ok=True)
        (run_copy / name).write_bytes(content)
    replaced = in_process("train", *TINY, "--run-dir", run_copy, "--overwrite")
    assert replaced.returncode == 0, replaced.stderr
    assert "files of the old run are removed" in replaced.stdout
    for name, content in foreign.items():
        assert (run_copy / name).read_bytes() == content
    run = RunDir(run_copy)
    assert run.checkpoint_steps() == [2, 0] and [*run.sample_paths()] == [1]
    again = in_process("train", *TINY, "--run-dir", run_copy)
    assert "is finished: 1 epochs" in again.stdout


def test_27_a_new_run_that_cannot_begin_leaves_the_old_one_whole(run_copy, in_process):
    in_the_way = RunDir(run_copy).checkpoints / ".gan_tf.new_temp"  # where TensorFlow would write
    in_the_way.write_text("mine")
    before = contents(run_copy)
    failed = in_process("train", *TINY, "--run-dir", run_copy, "--overwrite")
    assert failed.returncode == 1 and "cannot write" in failed.stderr
    assert contents(run_copy) == before


def test_20_a_folder_that_is_not_known_to_hold_a_run_is_not_replaced(tmp_path, in_process):
    for name, content in [("history.csv", "mine"), ("config.json", '{"mine": 1}')]:
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        (folder / name).write_text(content)
        refusal("train", *TINY, "--run-dir", folder, "--overwrite", run=in_process)
        assert (folder / name).read_text() == content
        assert {path.name for path in contents(folder)} <= {name, ".gan_tf.lock"}


@campaign
def test_26_two_runs_in_two_threads_do_not_disturb_each_other(tmp_path):
    def losses(folder, seed):
        options = dict(dataset="synthetic", max_images=64, batch_size=32, epochs=1, latent_dim=4)
        rows = train(TrainConfig(run_dir=tmp_path / folder, seed=seed, **options))
        return [(row["generator_loss"], row["discriminator_loss"]) for row in rows]

    alone = [losses(f"alone{seed}", seed) for seed in (0, 1)]
    together = {}
    threads = [
        threading.Thread(target=lambda seed=seed: together.update({seed: losses(f"{seed}", seed)}))
        for seed in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[0], together[1]] == alone


@campaign
def test_34_a_terminal_shows_a_progress_bar_and_its_loss_ends_no_run(tmp_path, launcher):
    """With steps that take longer than the bar's own intervals."""
    import fcntl
    import pty
    import struct
    import termios

    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    flags = ["--max-images=256", "--batch-size=64", f"--run-dir={tmp_path / 'run'}"]
    process = launcher.start("train", *TINY, *flags, "--epochs=2", terminal=os.ttyname(terminal))
    process.wait_for((tmp_path / "run" / "config.json").exists)  # it has opened the terminal
    os.close(terminal)
    shown = b""
    while b"epoch  1/2: generator" not in shown:
        shown += os.read(controller, 10_000)
    os.close(controller)
    for part in [b"epoch 1/2", b"batch ", b"G 0.", b"D 1.", b"images/s", b" left"]:
        assert part in shown
    assert process.wait().returncode == 0
    assert len(RunDir(tmp_path / "run").read_history()) == 2


@campaign
def test_37_a_limit_on_file_sizes_leaves_no_half_checkpoint(tmp_path, launcher):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))"
    failed = launcher.run("train", *TINY, f"--run-dir={tmp_path / 'run'}", prelude=limit)
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1 and "ulimit -f" in failed.stderr
    assert not [path for path in contents(tmp_path) if "_temp" in path.name or "ckpt" in path.name]


def test_40_what_a_finished_run_has_lost_is_made_again(run_copy, small_run, in_process):
    run = RunDir(run_copy)
    for lost in ["training.gif", "loss_curves.png", "epochs.png", "report.html"]:
        (run_copy / lost).unlink()
    (run_copy / "snapshots" / "epoch_0003.index").unlink()
    again = in_process(*small(run_copy))
    assert again.returncode == 0, again.stderr
    assert_same_outcome(run_copy, small_run)
    assert "report: run</title>" in run.report_path.read_text(encoding="utf-8")
    config, _ = run.read_config()
    assert run.is_finished(config)
    run.report_path.unlink()  # it is made last: a kill may lose it alone
    assert not run.is_finished(config)
