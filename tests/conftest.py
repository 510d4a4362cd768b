"""What several tests share: real commands in real processes, and one small finished run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SMALL = [
    "--dataset=synthetic",
    "--max-images=150",
    "--batch-size=32",
    "--snapshot-epochs",
    "1",
    "2",
]
SMALL_STEPS = 5  # an epoch: four batches of 32 images, and one of 22


def pytest_addoption(parser):
    parser.addoption("--manual-dir", help="folder of the original Fashion-MNIST files")


@pytest.fixture(scope="session")
def manual_dir(request):
    folder = request.config.getoption("--manual-dir")
    if folder is None:
        pytest.skip("needs --manual-dir with the original Fashion-MNIST files")
    return Path(folder).resolve()


def command(*arguments, **environment):
    """Runs a command from the top level to its end; its output is text."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def refusal(*arguments, **environment):
    """Runs a command that must refuse: exit code 2, and one line on standard error, returned."""
    finished = command(*arguments, **environment)
    assert finished.returncode == 2, finished.stderr
    assert finished.stdout == ""
    assert finished.stderr.count("\n") == 1 and finished.stderr.endswith("\n"), finished.stderr
    return finished.stderr


def contents(folder):
    """Every path below a folder, with the bytes of the files."""
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() else None
        for path in Path(folder).rglob("*")
    }


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """The folder of a run of three epochs, made by the command; tests must not change it."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    finished = command("train.py", *SMALL, "--epochs=3", f"--run-dir={folder}")
    assert finished.returncode == 0, finished.stderr
    return folder
