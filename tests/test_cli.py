import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest
from helpers import ROOT, SMALL, command, contents, refusal

import gan_tf


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c", "import gan_tf"],
        ["train.py", "--help"],
        ["make_gif.py", "--help"],
        ["-m", "gan_tf", "--help"],
        ["-m", "gan_tf", "sample", "--help"],
        ["-m", "gan_tf", "minimax", "--json"],
        ["train.py", "--batch-size=0"],
        ["-m", "gan_tf", "gif", "--run-dir=nowhere"],
    ],
)
def test_tensorflow_is_not_imported_without_need(arguments, tmp_path):
    """A package named tensorflow that cannot be imported stands in the way of any import of it."""
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('imported')")
    finished = command(*arguments, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert "imported" not in finished.stderr


def test_help_shows_every_flag_with_its_default():
    shown = command("train.py", "--help", COLUMNS="200").stdout
    for flag, default in {
        "--epochs": "50",
        "--batch-size": "64",
        "--learning-rate": "0.0001",
        "--seed": "0",
        "--latent-dim": "100",
        "--dataset": "fashion_mnist",
        "--precision": "float32",
        "--snapshot-epochs": "10 30 50",
    }.items():
        description = shown.partition(f"  {flag} ")[2].partition("  --")[0]
        assert f"(default: {default})" in description
    for flag in [
        "--fast, --no-fast",
        "--overwrite",
        "--data-dir",
        "--manual-dir",
        "--max-images",
        "--run-dir",
    ]:
        assert flag in shown


def test_the_console_command_and_the_module_are_the_same():
    for help_text in [command("-m", "gan_tf", "--help").stdout]:
        for name in ["train", "gif", "sample", "minimax", "benchmark"]:
            assert name in help_text
    installed = os.path.join(os.path.dirname(sys.executable), "gan-tf")
    shown = subprocess.run([installed, "--help"], capture_output=True, text=True).stdout
    assert shown == help_text


@pytest.mark.parametrize(
    "flag, values",
    {
        "--batch-size": ["0", "-1", "nan", "many", "1.5"],
        "--epochs": ["0", "-1", "nan", "many"],
        "--learning-rate": ["0", "-1", "nan", "inf", "fast"],
        "--latent-dim": ["0", "-1", "nan"],
        "--max-images": ["0", "-1", "nan"],
        "--seed": ["-1", "x"],
        "--snapshot-epochs": ["0", "x"],
        "--dataset": ["cifar10"],
        "--precision": ["half"],
        "--epoch": ["5"],  # not short for --epochs: it is a flag of another command
    }.items(),
)
def test_a_wrong_value_is_refused_in_one_line_that_names_the_flag(tmp_path, flag, values):
    for value in values:
        said = refusal("train.py", f"--run-dir={tmp_path / 'run'}", f"{flag}={value}")
        assert flag in said and value in said
        assert contents(tmp_path) == {}


def test_a_batch_larger_than_the_data_is_refused(tmp_path):
    said = refusal(
        "train.py", "--dataset=synthetic", "--batch-size=6001", f"--run-dir={tmp_path}/run"
    )
    assert "--batch-size 6001" in said and "6000 images" in said
    assert contents(tmp_path) == {}


def test_a_run_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    for folder in [tmp_path / "file", tmp_path / "file" / "below", "/proc/run"]:
        assert f"--run-dir {folder}" in refusal("train.py", *SMALL, f"--run-dir={folder}")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_run_with_other_settings_is_refused_and_left_alone(small_run):
    before = contents(small_run)
    said = refusal(
        "train.py",
        *SMALL,
        "--epochs=3",
        "--seed=1",
        "--learning-rate=0.1",
        f"--run-dir={small_run}",
    )
    assert "--seed is 1, was 0" in said and "--learning-rate is 0.1, was 0.0001" in said
    assert contents(small_run) == before


def test_sampling_or_animating_what_is_not_there_is_refused(tmp_path):
    for arguments in [["-m", "gan_tf", "sample"], ["-m", "gan_tf", "gif"], ["make_gif.py"]]:
        assert str(tmp_path) in refusal(*arguments, f"--run-dir={tmp_path}")
    assert contents(tmp_path) == {}


def test_training_noise_has_no_count_and_no_seed(small_run):
    for flag in ["--count=64", "--seed=0"]:
        arguments = ["sample", "--training-noise", flag, f"--run-dir={small_run}"]
        assert "--training-noise" in refusal("-m", "gan_tf", *arguments)


def test_output_that_cannot_be_written_is_refused(small_run, tmp_path):
    for arguments in [["-m", "gan_tf", "sample"], ["make_gif.py"]]:
        said = refusal(*arguments, f"--run-dir={small_run}", f"--output={tmp_path}")
        assert f"{tmp_path} is a folder" in said


def test_make_gif_says_what_it_made(small_run, tmp_path):
    made = tmp_path / "film.gif"
    finished = command("make_gif.py", f"--run-dir={small_run}", f"--output={made}", "--frame-ms=50")
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith(f"{made}: 3 frames of 366 x 390 pixels, 2.1 s, ")
    default = command("make_gif.py", f"--run-dir={small_run}", f"--output={made}")
    assert made.read_bytes() == (small_run / "training.gif").read_bytes(), default.stderr


def test_a_log_file_gets_one_line_per_epoch_and_the_names_of_all_files(tmp_path):
    finished = command("train.py", *SMALL, "--epochs=2", f"--run-dir={tmp_path}")
    assert finished.stderr == ""
    lines = finished.stdout.splitlines()
    assert [line[:9] for line in lines if line.startswith("epoch")] == ["epoch  1/", "epoch  2/"]
    for path in [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "lock"]:
        assert f"  {path}" in lines


def test_a_terminal_gets_a_progress_bar(tmp_path):
    """On a real terminal, with steps that take longer than the bar's own intervals."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    flags = ["--dataset=synthetic", "--max-images=1280", "--epochs=1", f"--run-dir={tmp_path}"]
    process = subprocess.Popen(
        [sys.executable, "train.py", *flags], cwd=ROOT, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(controller, 10_000):
            shown += piece
    except OSError:
        pass  # how Linux reports that the other end is closed
    assert process.wait() == 0
    for part in [b"epoch 1/1", b"batch ", b"G 0.", b"D 1.", b"images/s", b" left"]:
        assert part in shown


def test_minimax_prints_the_answers_and_draws_them(tmp_path):
    """In a folder of its own, as `minimax/` is where the figures go by default."""
    flags = ["minimax", "--step-x=0.0625", "--step-y=0.1875", "--start", "1", "0.5", "--steps=20"]
    finished = command("-m", "gan_tf", *flags, f"--output-dir={tmp_path}")
    assert finished.returncode == 0 and finished.stderr == ""
    for part in ["(a)", "(b)", "(c)", "(d)", "computed 0.5, measured 0.5", "computed -0.5"]:
        assert part in finished.stdout
    drawn = sorted(path.name for path in tmp_path.iterdir())
    assert len(drawn) == 6 and all(f"  {tmp_path / name}\n" in finished.stdout for name in drawn)


def test_minimax_prints_one_json_object_and_draws_nothing_unasked(tmp_path):
    flags = ["--json", "--game", "0", "0", "1"]
    finished = command("-m", "gan_tf", "minimax", *flags, cwd=tmp_path, PYTHONPATH=str(ROOT))
    found = json.loads(finished.stdout)
    assert found["hessian_eigenvalues"] == [-1, 1]
    assert found["rates"]["simultaneous"]["predicted"] == pytest.approx((1 + 1 / 256) ** 0.5)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    "flags",
    [
        *[["--step-x", value] for value in ("0", "-1", "nan", "inf", "x")],
        *[["--step-y", value] for value in ("0", "-0.1", "nan", "-inf")],
        *[["--steps", value] for value in ("0", "-1", "1.5")],
        *[["--start", *value] for value in (["nan", "0"], ["0", "inf"])],
        ["--game", "1", "0", "0"],
    ],
)
def test_minimax_refuses_in_one_line_that_names_the_flag(tmp_path, flags):
    said = refusal("-m", "gan_tf", "minimax", f"--output-dir={tmp_path / 'new'}", *flags)
    assert flags[0] in said
    assert contents(tmp_path) == {}


def test_the_version_is_the_packages():
    from importlib.metadata import version

    assert version("gan_tf") == gan_tf.__version__
