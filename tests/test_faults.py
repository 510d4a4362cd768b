"""The faults in docs/reliability.md, by their numbers, with real processes, files and signals."""

import inspect
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers import (
    PREPARED_IMAGES,
    ROOT,
    SMALL_IMAGES,
    SMALL_STEPS,
    assert_same_outcome,
    contents,
    cut_short,
    refusal,
    remove_checkpoint,
    small,
    truncate,
)
from PIL import Image

import gan_tf
from gan_tf import TrainConfig, noise
from gan_tf.run import artifacts, checkpoints, images
from gan_tf.run.rundir import RunDir
from gan_tf.snapshots import write_images

EAGER_TO_SAVE = "gan_tf.recording.CHECKPOINT_SECONDS = 0"  # a checkpoint after every step
KILLS = 12
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
    launcher.start(*small(folder, *flags), prelude=prelude)
    launcher.wait_for(gate.exists)


@pytest.fixture
def mount(tmp_path):
    """Mounts a file system with its own size; skips the test if that is not allowed."""
    if sys.platform != "linux":
        pytest.skip("mounts a tmpfs, which only Linux has")
    mounted = []

    def mount(options):
        folder = tmp_path / f"mounted {len(mounted)}"
        folder.mkdir()
        arguments = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
        tried = subprocess.run(arguments, capture_output=True, text=True, check=False)
        if tried.returncode:
            pytest.skip(f"needs the right to mount a file system: {tried.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


def newest_step(run_dir):
    """Returns the step of the newest checkpoint with an index file; -1 if there is none."""
    steps = [int(path.stem[5:]) for path in RunDir(run_dir).checkpoints.glob("ckpt-*.index")]
    return max(steps, default=-1)


def leftovers(run_dir):
    """Returns the unfinished files of a process that is writing or was killed."""
    run = RunDir(run_dir)
    folders = [run.path, run.checkpoints, run.snapshots, run.samples]
    paths = [path for folder in folders if folder.exists() for path in folder.iterdir()]
    return [path for path in paths if path.match("*_temp") or path.match(".unfinished-*")]


def assert_loads(prefix):
    """Reads every tensor of a checkpoint, which compares it with its checksum."""
    reader = tf.train.load_checkpoint(str(prefix))
    names = [name for name in reader.get_variable_to_shape_map() if not name.startswith("_CHECK")]
    assert len(names) > 60
    for name in names:
        assert np.isfinite(reader.get_tensor(name)).all()


def test_a_run_with_every_bad_day_ends_like_one_without(
    small_run, tmp_path, launcher, in_process, monkeypatch
):
    """Faults 10, 12, 9 and 1 in turn, at known steps; the campaign uses random ones."""
    run, gate = RunDir(tmp_path / "run"), tmp_path / "gate"
    saved = 0
    for number, code, flags in [
        (signal.SIGTERM, 143, ["--epochs=2", "--snapshot-epochs", "1"]),  # both may change later
        (signal.SIGINT, 130, []),
    ]:
        signalled = saved + SMALL_STEPS - 2

        def make_noise(count, latent_dim, seed, step):
            if step == signalled:
                signal.raise_signal(number)
            return noise.make_noise(count, latent_dim, seed, step)

        monkeypatch.setattr("gan_tf.training.make_noise", make_noise)
        stopped = in_process(*small(run.path, *flags))
        assert stopped.returncode == code
        assert f"resuming after step {saved}, " in stopped.stdout or saved == 0
        saved = newest_step(run.path)
        resumption = f"the run resumes from step {saved}\n"
        assert stopped.stdout.endswith(f"saved: {resumption}")
        assert stopped.stderr == (f"interrupted: {resumption}" if code == 130 else "")
        # The step of the signal is completed, and saved though no save was due.
        assert saved == signalled + 1 and saved % SMALL_STEPS > 0
    monkeypatch.undo()

    held = 2 * SMALL_STEPS + 1
    start_and_hold(launcher, run.path, held, gate, prelude=EAGER_TO_SAVE)
    before = contents(run.path)
    message = refusal(*small(run.path, "--overwrite"), run=in_process)
    assert f"--run-dir {run.path} is in use by process {launcher.pid}" in message
    assert contents(run.path) == before
    launcher.signal(signal.SIGKILL)
    killed = launcher.wait()
    assert f"resuming after step {saved}, " in killed.stdout
    assert newest_step(run.path) == held
    truncate(run.checkpoint_path(held).with_suffix(".data-00000-of-00001"))

    with pytest.warns(UserWarning, match=f"ckpt-{held} cannot be read, resuming from ckpt-10 "):
        finished = in_process(*small(run.path))
    assert (finished.returncode, finished.stderr) == (0, "")
    assert_same_outcome(run.path, small_run)
    assert epochs_on_the_board(run.path) == {1, 2, 3}


def test_04_a_run_without_checkpoints_is_refused(run_copy, in_process):
    """Unreadable checkpoints are in test_checkpoints.py, `--overwrite` in test_reliability.py."""
    run = RunDir(run_copy)
    shutil.rmtree(run.checkpoints)
    before = contents(run_copy)
    message = refusal(*small(run_copy), run=in_process)
    assert f"{run.checkpoints} holds no checkpoint, though {run.history_path} has" in message
    assert "--overwrite" in message
    assert contents(run_copy) == before


def test_05_06_other_settings_are_refused_with_both_values(small_run, in_process):
    changes = {"latent-dim": (50, 100), "dataset": ("mnist", "synthetic"), "seed": (1, 0)}
    changes |= {"learning-rate": (0.1, 0.0001), "batch-size": (64, 16), "max-images": (79, 80)}
    changes |= {"precision": ("bfloat16", "float32")}
    before = contents(small_run)
    flags = [f"--{name}={value}" for name, (value, _) in changes.items()]
    message = refusal(*small(small_run, *flags), run=in_process)
    for name, (value, recorded) in changes.items():
        assert f"--{name} is {value}, was {recorded}" in message
    assert message.count(" was ") == len(changes)
    assert contents(small_run) == before


def test_07_a_run_folder_that_cannot_be_written_is_refused_before_the_data_is_loaded(
    tmp_path, mount, in_process
):
    (tmp_path / "file").write_text("mine")
    read_only = mount("size=1m,ro")
    for folder in [tmp_path / "file", tmp_path / "file" / "below", read_only, read_only / "run"]:
        before = contents(tmp_path)
        message = refusal(
            "train",
            f"--run-dir={folder}",
            f"--manual-dir={tmp_path / 'nowhere'}",  # where the data would be looked for
            f"--data-dir={tmp_path / 'data'}",
            run=in_process,
        )
        assert f"--run-dir {folder}" in message
        assert contents(tmp_path) == before


def fill(path, keep_free=0):
    """Writes zeros until the disk is full except for `keep_free` bytes."""
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(file.tell() - keep_free)


def assert_fails_for_space(launcher, run, path_and_need):
    failed = launcher.wait()
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1, failed.stderr
    assert re.search(f"no space left to write {run}/{path_and_need}", failed.stderr)
    assert_loads(run / "checkpoints" / f"ckpt-{newest_step(run)}")
    assert leftovers(run) == []


@campaign
def test_08_a_full_disk_ends_the_run_and_freed_space_continues_it(
    small_run, tmp_path, mount, launcher
):
    folder = mount("size=150m")
    run, filler, gate = folder / "run", folder / "filler", tmp_path / "gate"
    start_and_hold(launcher, run, SMALL_STEPS + 2, gate)
    fill(filler)
    gate.unlink()
    assert_fails_for_space(launcher, run, "samples/epoch_0002.png: free")

    still = launcher.run(*small(run))  # still full
    assert still.returncode in (1, 2) and still.stderr.count("\n") == 1, still.stderr
    assert str(run) in still.stderr and "no space left" in still.stderr.lower()

    with open(filler, "r+b") as file:
        file.truncate(filler.stat().st_size - 20_000_000)  # not enough for a checkpoint
    launcher.start(*small(run), prelude=EAGER_TO_SAVE)
    assert_fails_for_space(launcher, run, r"checkpoints/ckpt-\d+: free 30 MB")

    filler.unlink()
    finished = launcher.run(*small(run))
    assert (finished.returncode, finished.stderr) == (0, "")
    assert_same_outcome(run, small_run)


def write_files(folder, version):
    """Yields the path of each kind of file of a run, and a function that writes a version of it."""
    run = RunDir(folder)
    names = ["step", "generator_loss", "discriminator_loss"]
    names += ["generator_loss_std", "discriminator_loss_std"]
    rows = [{"epoch": epoch} | dict.fromkeys(names, version) for epoch in range(1, 60)]
    random = np.random.default_rng(version)
    yield run.history_path, lambda: run.write_history(rows)
    yield run.config_path, lambda: run.write_config(TrainConfig(seed=version), {})
    for epoch in [1, 2]:
        path, samples = run.sample_path(epoch), random.uniform(-1, 1, [16, 28, 28, 1])
        yield path, lambda: artifacts.write_samples(run, epoch, samples)
    training_images = images.to_uint8(random.uniform(-1, 1, [16, 28, 28, 1]))
    path = run.training_images_path
    yield path, lambda: artifacts.write_training_images(run, training_images)
    yield run.gif_path, lambda: artifacts.write_gif(run)
    yield run.epochs_path, lambda: artifacts.write_epochs(run, [1, 2])
    yield run.loss_curves_path, lambda: artifacts.write_loss_curves(run, [1])


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_08_every_kind_of_file_on_a_full_disk(mount, capfd):
    """For each kind of file the write fails with its name, and the old file stays."""
    folder = mount("size=2m")
    run, array = RunDir(folder), folder / "samples.npy"
    samples = np.zeros([64, 28, 28, 1], np.float32)

    def every_file(version):
        yield from write_files(folder, version)
        yield array, lambda: write_images(array, samples + version, "npy")
        checkpoint = tf.train.Checkpoint(values=tf.Variable(tf.zeros([10_000])))
        yield run.checkpoint_path(1), lambda: checkpoints.save(checkpoint, run, 1)

    for _, write in every_file(version=0):
        write()
    before = contents(folder)
    for free in [0, 4096]:  # nothing fits, or only a first block
        fill(folder / "filler", free)
        failed = 0
        for path, write in every_file(version=0):
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
@pytest.mark.parametrize("name, format", [("g.npz", None), ("g.keras", None), ("g", "saved-model")])
def test_08_an_export_on_a_full_disk_leaves_nothing(mount, small_run, name, format):
    folder = mount("size=2m")
    snapshot = gan_tf.load_snapshot(small_run)
    with pytest.raises(gan_tf.RunFailed, match=f"no space left to write {folder / name}: free"):
        gan_tf.export_generator(snapshot, folder / name, format)
    assert contents(folder) == {}


def wait_for_write(run_dir, launcher):
    """Waits until a write starts; returns what `poll` does if the process ends before that."""
    for writing in [False, True]:
        while bool(leftovers(run_dir)) is not writing:
            if ended := launcher.poll():
                return ended


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
def test_09_kill_9_at_any_instant_changes_nothing_in_the_end(
    small_run, tmp_path, launcher, random_choices
):
    """Every second kill comes during the write of a file, and the others at random times.

    A run that ends before its kill is compared, and the kills continue with a new run.
    """
    folders = (tmp_path / f"run {number}" for number in itertools.count())
    folder = next(folders)
    done = kills_in_a_write = 0
    while done < KILLS:
        launcher.start(*small(folder), prelude=EAGER_TO_SAVE)
        ended = None
        if done % 2 == 0:
            for _ in range(random_choices.randint(1, 4)):
                ended = ended or wait_for_write(folder, launcher)
            time.sleep(random_choices.uniform(0, 0.01))
        else:
            time.sleep(random_choices.uniform(0, 5))
        if ended is None:
            launcher.signal(signal.SIGKILL)
            ended = launcher.wait()
        if ended.returncode == 0:
            assert_same_outcome(folder, small_run)
            folder = next(folders)
        else:
            assert ended.returncode == -signal.SIGKILL, ended.stderr
            done += 1
            kills_in_a_write += bool(leftovers(folder))
            print(f"kill {done}: after step {newest_step(folder)}, {leftovers(folder)}")
    finished = launcher.run(*small(folder))
    assert finished.returncode == 0, finished.stderr
    assert_same_outcome(folder, small_run)
    assert epochs_on_the_board(folder) == {1, 2, 3}
    assert kills_in_a_write > 0


@campaign
def test_09_flags_for_better_images_and_a_short_last_batch_are_resumed_too(
    tmp_path, launcher, random_choices
):
    """The average generator and two learning rates, with a short last batch.

    The small run has no short batch, as each size of batch takes seconds to trace.
    """
    flags = [f"--max-images={SMALL_IMAGES - 5}", "--beta-1=0.5"]
    flags += ["--ema-decay=0.9", "--discriminator-learning-rate=2e-4"]
    assert launcher.run(*small(tmp_path / "whole", *flags)).returncode == 0
    folder, gate = tmp_path / "stopped", tmp_path / "gate"
    for step, number, code in [
        (SMALL_STEPS - 1, signal.SIGTERM, 143),
        (SMALL_STEPS + random_choices.randrange(SMALL_STEPS), signal.SIGKILL, -signal.SIGKILL),
        (2 * SMALL_STEPS + 2, signal.SIGTERM, 143),
    ]:
        print(f"signal {number} at step {step}")
        start_and_hold(launcher, folder, step, gate, *flags)
        launcher.signal(number)
        gate.unlink()
        assert launcher.wait().returncode == code
    finished = launcher.run(*small(folder, *flags))
    assert finished.returncode == 0, finished.stderr
    assert_same_outcome(folder, tmp_path / "whole")
    for row in RunDir(folder).read_history():  # means over images, not over batches
        for share in [row["real_accuracy"], row["fake_accuracy"]]:
            correct = share * (SMALL_IMAGES - 5)
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
def test_10_a_second_ctrl_c_stops_at_once_and_loses_nothing_saved(small_run, tmp_path, launcher):
    launcher.start(*small(tmp_path), prelude=SLOW_DISK)
    launcher.wait_for((tmp_path / "slow").exists)
    launcher.signal(signal.SIGINT)
    time.sleep(0.5)
    assert launcher.poll() is None  # the first one waits for the save
    launcher.signal(signal.SIGINT)
    stopped = launcher.wait(seconds=30)
    assert stopped.returncode == 130
    assert stopped.stderr == f"interrupted: the run resumes from step {newest_step(tmp_path)}\n"
    assert newest_step(tmp_path) >= SMALL_STEPS + 1
    finished = launcher.run(*small(tmp_path))
    assert finished.returncode == 0, finished.stderr
    assert "resuming after step" in finished.stdout
    assert_same_outcome(tmp_path, small_run)


@pytest.mark.parametrize("kills", [2, pytest.param(24, marks=campaign)])
def test_11_a_killed_writer_leaves_no_half_file_under_a_final_name(
    tmp_path, launcher, random_choices, kills
):
    whole = {}
    for version in [0, 1]:
        for path, write in write_files(tmp_path / "whole", version):
            write()
            name = path.relative_to(tmp_path / "whole")
            whole.setdefault(name, set()).add(path.read_bytes())
    folder = tmp_path / "killed"
    writer = f"""
import itertools
import numpy as np
from gan_tf.config import TrainConfig
from gan_tf.run import artifacts, images
from gan_tf.run.rundir import RunDir
{inspect.getsource(write_files)}
for version in itertools.cycle([0, 1]):
    for _, write in write_files({str(folder)!r}, version):
        write()
"""
    for _ in range(kills):
        launcher.start(prelude=writer)
        launcher.wait_for((folder / "loss_curves.png").exists)
        time.sleep(random_choices.uniform(0, 0.6))
        launcher.signal(signal.SIGKILL)
        assert launcher.wait().returncode == -signal.SIGKILL
        for name, versions in whole.items():
            assert (folder / name).read_bytes() in versions, name


def test_11_a_history_that_lost_rows_is_refused(run_copy, in_process):
    """gan_tf itself loses none, and cannot restore the rows that somebody else has lost."""
    history = run_copy / "history.csv"
    history.write_text("".join(history.read_text().splitlines(keepends=True)[:2]))
    before = contents(run_copy)
    message = refusal(*small(run_copy, "--epochs=4"), run=in_process)
    assert f"{history} has lost rows" in message
    assert contents(run_copy) == before


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
        (lambda path: path.write_text("not an image\n"), "is not a whole PNG"),
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


# train.py with a clock that runs backwards and decimal commas.
ODD_WORLD = """
import itertools, locale, sys, time
locale.setlocale(locale.LC_ALL, "")
assert locale.format_string("%.1f", 0.5) == "0,5"
seconds = itertools.count(2e9, -3600)
time.time = lambda: next(seconds)
from gan_tf.cli import main
sys.exit(main(command="train"))
"""


@campaign
def test_18_no_home_and_a_clock_that_jumps_back_and_decimal_commas_change_nothing(
    small_run, tmp_path, comma_locale
):
    folder = tmp_path / "Läufe im März" / "模型 1"
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    finished = subprocess.run(
        [sys.executable, "-c", ODD_WORLD, *small(folder)[1:]],
        cwd=ROOT,
        env={**environment, **comma_locale},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "epoch  3/3: generator 0.6" in finished.stdout
    assert_same_outcome(folder, small_run)
    assert all(row["seconds"] > 0 for row in RunDir(folder).read_history())


@campaign
@pytest.mark.skipif(
    sys.platform != "linux", reason="needs a shell, and /proc as an unwritable home"
)
def test_18_odd_paths_an_unwritable_home_and_a_reader_that_leaves(prepared, tmp_path):
    """`train.py ... | head -1` in the C locale, with a home folder where nothing can be made."""
    data = Path(shutil.copytree(prepared[0], tmp_path / "Daten für März"))
    run = RunDir(tmp_path / "été 1")
    flags = ["--epochs=1", "--batch-size=65", f"--data-dir={data}", f"--run-dir={run.path}"]
    finished = subprocess.run(
        ["bash", "-c", '"$@" | head -1; exit ${PIPESTATUS[0]}', "bash"]
        + [sys.executable, "train.py", *flags],
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "C", "HOME": "/proc"},
        capture_output=True,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, b"")
    assert finished.stdout.decode() == f"{run.path}: training on {PREPARED_IMAGES} images\n"
    assert [row["step"] for row in run.read_history()] == [2]
    assert run.gif_path.exists() and newest_step(run.path) == 2
    assert_loads(run.checkpoint_path(2))


@campaign
def test_19_another_environment_on_resume_is_warned_of(run_copy, launcher):
    record = json.loads((run_copy / "config.json").read_text())
    record["environment"]["tensorflow"] = "2.0.0"
    (run_copy / "config.json").write_text(json.dumps(record))
    remove_checkpoint(run_copy, 15)
    threads = record["environment"]["threads"]
    finished = launcher.run(
        *small(run_copy),
        prelude="""
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
""",
    )
    assert finished.returncode == 0, finished.stderr
    (warning,) = finished.stderr.splitlines()
    assert "bits of the results may differ" in warning
    assert f"tensorflow is {tf.__version__}, was 2.0.0" in warning
    assert "onednn is False, was True" in warning
    assert f"threads is 1, was {threads}" in warning or threads == 1
    assert "resuming after step 10, " in finished.stdout
    assert [row["epoch"] for row in RunDir(run_copy).read_history()] == [1, 2, 3]
