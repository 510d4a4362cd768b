"""The faults in docs/reliability.md, by their numbers, with real processes, files and signals."""

import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers import (
    SMALL_IMAGES,
    SMALL_STEPS,
    assert_same_outcome,
    contents,
    cut_short,
    newest_step,
    refusal,
    small,
    tensors,
    truncate,
)
from PIL import Image

import gan_tf
from gan_tf import TrainConfig, noise
from gan_tf.run import artifacts, checkpoints, images
from gan_tf.run.rundir import RunDir
from gan_tf.snapshots import write_images

EAGER_TO_SAVE = "gan_tf.recording.CHECKPOINT_SECONDS = 0"  # a checkpoint after every step
campaign = pytest.mark.campaign


def start_and_hold(launcher, folder, step, gate, *flags, prelude=""):
    """Starts the small run, which creates the file `gate` after a step and waits for its removal.

    So what a test does meanwhile happens at that step, however slow the machine is.
    """
    prelude += f"""
import pathlib, time
from gan_tf import training
def make_noise(count, latent_dim, seed, step, original=training.make_noise):
    if step == {step}:
        gate = pathlib.Path({str(gate)!r})
        gate.touch()
        while gate.exists():
            time.sleep(0.001)
    return original(count, latent_dim, seed, step)
training.make_noise = make_noise
"""
    process = launcher.start(*small(folder, *flags), prelude=prelude)
    process.wait_for(gate.exists)
    return process


@pytest.fixture
def mount(tmp_path):
    """Mounts a file system with its own size; skips the test if that is not allowed."""
    folder = tmp_path / "mounted"

    def mount(options):
        folder.mkdir()
        arguments = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
        tried = subprocess.run(arguments, capture_output=True, text=True, check=False)
        if tried.returncode:
            pytest.skip(f"needs the right to mount a tmpfs: {tried.stderr.strip()}")
        return folder

    yield mount
    subprocess.run(["umount", "--lazy", folder], capture_output=True, check=False)


def leftovers(run_dir):
    """Returns the unfinished files of a process that is writing or was killed."""
    run = RunDir(run_dir)
    folders = [run.path, run.checkpoints, run.snapshots, run.samples]
    paths = [path for folder in folders if folder.exists() for path in folder.iterdir()]
    return [path for path in paths if path.match("*_temp") or path.match(".unfinished-*")]


def assert_loads(prefix):
    arrays = tensors(prefix)
    assert len(arrays) > 60 and all(np.isfinite(array).all() for array in arrays.values())


def test_a_run_with_every_bad_day_ends_like_one_without(
    small_run, tmp_path, launcher, in_process, monkeypatch
):
    """Faults 10, 12, 9 and 1 in turn, at known steps; the campaign uses random ones."""
    run, gate = RunDir(tmp_path / "run"), tmp_path / "gate"
    signalled, saved = SMALL_STEPS - 2, SMALL_STEPS - 1

    def make_noise(count, latent_dim, seed, step):
        if step == signalled:
            signal.raise_signal(signal.SIGTERM)
        return noise.make_noise(count, latent_dim, seed, step)

    with monkeypatch.context() as patch:
        patch.setattr("gan_tf.training.make_noise", make_noise)
        flags = ["--epochs=2", "--snapshot-epochs", "1"]  # both may change later
        stopped = in_process(*small(run.path, *flags))
    # The step of the signal is completed, and saved though no save was due.
    assert newest_step(run.path) == saved
    assert stopped.stdout.endswith(f"saved: the run resumes from step {saved}\n")
    assert (stopped.returncode, stopped.stderr) == (143, "")

    held = 2 * SMALL_STEPS + 1
    process = start_and_hold(launcher, run.path, held, gate, prelude=EAGER_TO_SAVE)
    before = contents(run.path)
    message = refusal(*small(run.path, "--overwrite"), run=in_process)
    assert f"--run-dir {run.path} is in use by process {process.pid}" in message
    assert contents(run.path) == before
    process.signal(signal.SIGKILL)
    killed = process.wait()
    assert f"resuming after step {saved}, " in killed.stdout
    assert newest_step(run.path) == held
    truncate(run.checkpoint_path(held).with_suffix(".data-00000-of-00001"))

    finished = launcher.run(*small(run.path))
    assert finished.returncode == 0 and finished.stderr.count("\n") == 1
    assert f"ckpt-{held} cannot be read, resuming from ckpt-10 " in finished.stderr
    assert_same_outcome(run.path, small_run)
    assert epochs_on_the_board(run.path) == {1, 2, 3}


def test_04_a_run_without_checkpoints_is_refused(run_copy, in_process):
    run = RunDir(run_copy)
    shutil.rmtree(run.checkpoints)
    before = contents(run_copy)
    message = refusal(*small(run_copy), run=in_process)
    assert f"{run.checkpoints} holds no checkpoint, though {run.history_path} has" in message
    assert "--overwrite" in message
    assert contents(run_copy) == before


def test_07_a_run_folder_that_cannot_be_written_is_refused_before_the_data_is_loaded(
    tmp_path, mount, in_process
):
    read_only = mount("size=1m,ro")
    for folder in [read_only, read_only / "run"]:
        nowhere = f"--manual-dir={tmp_path / 'nowhere'}"  # where the data would be looked for
        message = refusal("train", f"--run-dir={folder}", nowhere, run=in_process)
        assert f"--run-dir {folder} cannot be used" in message
    assert contents(tmp_path) == {Path("mounted"): None}


def fill(path, keep_free=0):
    """Writes zeros until the disk is full except for `keep_free` bytes."""
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(file.tell() - keep_free)


@campaign
def test_08_a_full_disk_ends_the_run_and_freed_space_continues_it(
    small_run, tmp_path, mount, launcher
):
    folder = mount("size=150m")
    run, filler, gate = RunDir(folder / "run"), folder / "filler", tmp_path / "gate"
    process = start_and_hold(launcher, run.path, SMALL_STEPS + 2, gate, prelude=EAGER_TO_SAVE)
    fill(filler, keep_free=20_000_000)  # not enough for a checkpoint
    gate.unlink()
    failed = process.wait()
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1, failed.stderr
    step = SMALL_STEPS + 3
    assert f"no space left to write {run.checkpoint_path(step)}: free 30 MB" in failed.stderr
    assert newest_step(run.path) == step - 1 and leftovers(run.path) == []
    filler.unlink()
    finished = launcher.run(*small(run.path))
    assert (finished.returncode, finished.stderr) == (0, "")
    assert_same_outcome(run.path, small_run)


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_08_every_kind_of_file_on_a_full_disk(mount, capfd):
    """For each kind of file the write fails with its name, and the old file stays."""
    folder = mount("size=2m")
    run, array = RunDir(folder), folder / "samples.npy"
    names = ["generator_loss", "discriminator_loss"]
    names += ["step", *(f"{name}_std" for name in names)]
    rows = [{"epoch": epoch} | dict.fromkeys(names, 1) for epoch in range(1, 60)]
    samples = np.random.default_rng(0).uniform(-1, 1, [64, 28, 28, 1])
    checkpoint = tf.train.Checkpoint(values=tf.Variable(tf.zeros([10_000])))
    writes = {
        run.history_path: lambda: run.write_history(rows),
        run.config_path: lambda: run.write_config(TrainConfig(), {}),
        run.sample_path(1): lambda: artifacts.write_samples(run, 1, samples[:16]),
        run.sample_path(2): lambda: artifacts.write_samples(run, 2, samples[16:32]),
        run.training_images_path: lambda: artifacts.write_training_images(
            run, images.to_uint8(samples)
        ),
        run.gif_path: lambda: artifacts.write_gif(run),
        run.epochs_path: lambda: artifacts.write_epochs(run, [1, 2]),
        run.loss_curves_path: lambda: artifacts.write_loss_curves(run, [1]),
        array: lambda: write_images(array, samples, "npy"),
        run.checkpoint_path(1): lambda: checkpoints.save(checkpoint, run, 1),
    }
    for write in writes.values():
        write()
    before = contents(folder)
    for free in [0, 4096]:  # nothing fits, or only a first block
        fill(folder / "filler", free)
        failed = 0
        for path, write in writes.items():
            try:
                write()
            except gan_tf.RunFailed as error:
                assert f"no space left to write {path}: free" in str(error)
                failed += 1
        assert failed == 10 if free == 0 else failed >= 3
        (folder / "filler").unlink()
        assert contents(folder) == before
    assert capfd.readouterr() == ("", "")


@campaign
def test_08_an_export_on_a_full_disk_leaves_nothing(mount, small_run):
    folder = mount("size=2m")
    snapshot = gan_tf.load_snapshot(small_run)
    for name, format in [("g.npz", None), ("g.keras", None), ("g", "saved-model")]:
        with pytest.raises(gan_tf.RunFailed, match=f"no space left to write {folder / name}: free"):
            gan_tf.export_generator(snapshot, folder / name, format)
        assert contents(folder) == {}


def suspend_in_a_write(process, run_dir, step):
    """Suspends a process while it writes a file, after it has saved a step; returns at its end."""
    while process.poll() is None:
        if newest_step(run_dir) >= step and leftovers(run_dir):
            process.signal(signal.SIGSTOP)
            if leftovers(run_dir):
                return
            process.signal(signal.SIGCONT)


def epochs_on_the_board(run_dir):
    """Returns the epochs that TensorBoard shows; it reads each file up to the damage of a kill."""
    epochs = set()
    for path in run_dir.glob("events.out.tfevents.*"):
        try:
            for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
                event = tf.compat.v1.Event.FromString(record)
                epochs |= {event.step for value in event.summary.value if value.tag == "samples"}
        except tf.errors.DataLossError:
            pass
    return epochs


@campaign
def test_09_kill_9_at_any_instant_changes_nothing_in_the_end(tmp_path, launcher, random_choices):
    """Every second kill comes during the write of a file, and the others at random times.

    With the average generator, two learning rates, and a short last batch.
    """
    flags = [f"--max-images={SMALL_IMAGES - 5}", "--beta-1=0.5"]
    flags += ["--ema-decay=0.9", "--discriminator-learning-rate=2e-4"]
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    assert launcher.run(*small(whole, *flags)).returncode == 0
    kills_in_a_write = 0
    for number in range(4):
        process = launcher.start(*small(folder, *flags), prelude=EAGER_TO_SAVE)
        if number % 2 == 0:
            step = newest_step(folder) + random_choices.randint(0, 3)
            suspend_in_a_write(process, folder, step)
        else:
            time.sleep(random_choices.uniform(0, 5))
        process.signal(signal.SIGKILL)
        if process.wait().returncode == 0:  # before its kill
            assert_same_outcome(folder, whole)
            shutil.rmtree(folder)
        else:
            kills_in_a_write += bool(leftovers(folder))
            print(f"kill {number}: after step {newest_step(folder)}, {leftovers(folder)}")
    finished = launcher.run(*small(folder, *flags))
    assert finished.returncode == 0, finished.stderr
    assert_same_outcome(folder, whole)
    assert epochs_on_the_board(folder) == {1, 2, 3}
    assert kills_in_a_write > 0
    for row in RunDir(folder).read_history():  # means over images, not over batches
        correct = row["real_accuracy"] * (SMALL_IMAGES - 5)
        assert correct == pytest.approx(round(correct), abs=1e-4)


# A disk that takes a minute to flush a checkpoint.
SLOW_DISK = (
    EAGER_TO_SAVE
    + """
import time
from gan_tf.run import checkpoints
from gan_tf.system import files
def slow_sync(path):
    if path.name.startswith("ckpt-7."):
        open(path.parent.parent / "slow", "w").close()
        time.sleep(60)
    files.sync(path)
checkpoints.sync = slow_sync
"""
)


@campaign
def test_10_a_second_ctrl_c_stops_at_once_and_loses_nothing_saved(tmp_path, launcher):
    process = launcher.start(*small(tmp_path), prelude=SLOW_DISK)
    process.wait_for((tmp_path / "slow").exists)
    process.signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None  # the first one waits for the save
    process.signal(signal.SIGINT)
    stopped = process.wait(seconds=30)
    assert stopped.returncode == 130
    assert stopped.stderr == f"interrupted: the run resumes from step {newest_step(tmp_path)}\n"
    assert newest_step(tmp_path) >= SMALL_STEPS + 1
    assert_loads(RunDir(tmp_path).checkpoint_path(newest_step(tmp_path)))


# A network that refuses connections is in tests/data/; this one accepts them and never answers.
def test_14_a_network_that_never_answers_costs_seconds(tmp_path, in_process, monkeypatch):
    """TFDS by itself gives up after 205 s."""
    monkeypatch.setattr("gan_tf.data.tfds._NETWORK_SECONDS", 1)  # in place of 10, to save time
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for scheme in ["http", "https"]:
            monkeypatch.setenv(f"{scheme}_proxy", f"http://127.0.0.1:{silent.getsockname()[1]}")
        folders = [f"--data-dir={tmp_path / 'data'}", f"--run-dir={tmp_path / 'run'}"]
        message = refusal("train", *folders, run=in_process)
    assert "does not answer" in message and "--manual-dir" in message
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    "damage, reason",
    [
        (cut_short, "is not a whole PNG"),
        (lambda path: Image.open(path).convert("L").save(path, "JPEG"), "is not a whole PNG"),
        (lambda path: Image.new("1", [20_000, 20_000]).save(path), "is not a whole PNG"),
        (lambda path: Image.open(path).resize([28, 28]).save(path), "is not of the size of the"),
    ],
)
def test_15_a_frame_that_is_foreign_or_damaged_is_named(run_copy, in_process, damage, reason):
    frame = RunDir(run_copy).sample_path(2)
    damage(frame)
    before = contents(run_copy)
    assert f"{frame} {reason}" in refusal("gif", f"--run-dir={run_copy}", run=in_process)
    assert contents(run_copy) == before


def test_16_a_loss_that_is_not_finite_ends_the_run_with_the_last_finite_checkpoint(
    tmp_path, in_process, monkeypatch
):
    monkeypatch.setattr("gan_tf.recording.CHECKPOINT_SECONDS", 0)
    run = RunDir(tmp_path / "run")
    failed = in_process(*small(run.path, "--learning-rate=1e30"))
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1, failed.stderr
    pattern = r"at step (\d+), in epoch 1: .*--run-dir .*--learning-rate"
    step = int(re.search(pattern, failed.stderr)[1])
    assert newest_step(run.path) == step - 1
    assert_loads(run.checkpoint_path(step - 1))
    assert run.read_history() == [] and run.sample_paths() == {} and run.snapshot_epochs() == []


@pytest.fixture(scope="session")
def comma_locale(tmp_path_factory):
    """Environment variables of a locale in which one half is written 0,5."""
    folder = tmp_path_factory.mktemp("locales")
    arguments = ["localedef", "-i", "de_DE", "-f", "UTF-8", folder / "de_DE.UTF-8"]
    try:
        subprocess.run(arguments, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs localedef and the locale de_DE: {error}")
    return {"LOCPATH": str(folder), "LC_ALL": "de_DE.UTF-8"}


# Decimal commas, a home that cannot be written, a clock that runs backwards, and `| head -0`.
ODD_WORLD = """
import itertools, locale, time
os.environ.update({environment})
locale.setlocale(locale.LC_ALL, "")
assert locale.format_string("%.1f", 0.5) == "0,5"
seconds = itertools.count(2e9, -3600)
time.time = lambda: next(seconds)
reader, writer = os.pipe()
os.dup2(writer, 1)
os.close(reader)
"""


@campaign
def test_18_odd_paths_an_odd_world_and_a_reader_that_leaves_change_nothing(
    small_run, tmp_path, comma_locale, launcher
):
    folder = tmp_path / "Läufe im März" / "模型 1"
    world = ODD_WORLD.format(environment={**comma_locale, "HOME": "/proc"})
    finished = launcher.run(*small(folder), prelude=world)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert_same_outcome(folder, small_run)
    assert all(row["seconds"] > 0 for row in RunDir(folder).read_history())
