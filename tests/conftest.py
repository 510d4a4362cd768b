"""What several tests share: real commands in real processes, and one small finished run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gan_tf.rundir import RunDir

ROOT = Path(__file__).resolve().parent.parent
SMALL = [
    "--dataset=synthetic",
    "--max-images=150",
    "--batch-size=32",
    "--snapshot-epochs",
    "1",
    "2",
]
NO_NETWORK = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
PREPARED_IMAGES = 130
SMALL_STEPS = 5  # an epoch: four batches of 32 images, and one of 22


def pytest_addoption(parser):
    parser.addoption("--manual-dir", help="folder of the original Fashion-MNIST files")
    parser.addoption("--campaign", action="store_true", help="run the long tests too")


def pytest_collection_modifyitems(config, items):
    if not config.option.campaign:
        for item in items:
            if "campaign" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="part of the long campaign: --campaign"))


@pytest.fixture(scope="session")
def manual_dir(request):
    folder = request.config.getoption("--manual-dir")
    if folder is None:
        pytest.skip("needs --manual-dir with the original Fashion-MNIST files")
    return Path(folder).resolve()


def command(*arguments, cwd=ROOT, **environment):
    """Runs a command, from the top level unless told otherwise, to its end; its output is text."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def refusal(*arguments, run=command, **options):
    """Runs a command that must refuse: exit code 2, and one line on standard error, returned."""
    finished = run(*arguments, **options)
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


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path, place=None):
    """Flips bit 0 of a byte, by default the middle one."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if place is None else place] ^= 1
    path.write_bytes(content)


def remove(path):
    path.unlink()


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """The folder of a run of three epochs, made by the command; tests must not change it."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    finished = command("train.py", *SMALL, "--epochs=3", f"--run-dir={folder}")
    assert finished.returncode == 0, finished.stderr
    return folder


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A data folder in which TFDS has prepared a small data set under the name fashion_mnist."""
    import tensorflow_datasets as tfds

    from gan_tf.data import synthetic_images

    images = synthetic_images(PREPARED_IMAGES, 0)

    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name = "fashion_mnist"
        VERSION = tfds.core.Version("3.0.1")

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(28, 28, 1)),
                "label": tfds.features.ClassLabel(num_classes=10),
            }
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, _):
            return {
                "train": self._generate_examples(images),
                "test": self._generate_examples(255 - images),
            }

        def _generate_examples(self, images):
            for index, image in enumerate(images):
                yield index, {"image": image, "label": index % 10}

    folder = tmp_path_factory.mktemp("tensorflow datasets")
    Builder(data_dir=folder).download_and_prepare()
    return folder, images


def outcome(run_dir):
    """All that the small run computed, bit for bit, without what a clock has measured."""
    import tensorflow as tf

    run = RunDir(run_dir)
    result = {}
    for prefix in [run.checkpoints / f"ckpt-{3 * SMALL_STEPS}", *map(run.snapshot_path, (1, 2, 3))]:
        reader = tf.train.load_checkpoint(str(prefix))
        for name in reader.get_variable_to_shape_map():
            if not name.startswith(("_CHECKPOINTABLE_OBJECT_GRAPH", "seconds/")):
                result[prefix.name, name] = np.asarray(reader.get_tensor(name)).tobytes()
    for path in run.sample_paths().values():
        result[path.name] = path.read_bytes()
    for row in run.read_history():
        epoch = row["epoch"]
        result |= {
            (epoch, name): value
            for name, value in row.items()
            if name not in ("seconds", "images_per_second")
        }
    return result


def assert_same_outcome(run_dir, other):
    found, expected = outcome(run_dir), outcome(other)
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
    assert RunDir(run_dir).gif_path.read_bytes() == RunDir(other).gif_path.read_bytes()
    assert len(RunDir(run_dir).history_path.read_text().splitlines()) == 1 + 3  # none twice
    assert not [path for path in Path(run_dir).rglob("*") if "_temp" in path.name]
    assert not list(Path(run_dir).rglob(".unfinished-*"))


_LAUNCHER = """
import json, os, sys
from gan_tf.cli import _import_tensorflow, main
_import_tensorflow()
import gan_tf.training

process = None
for request in iter(sys.stdin.readline, ""):
    if request == "poll\\n":
        done, status = os.waitpid(process, os.WNOHANG)
        print(os.waitstatus_to_exitcode(status) if done else None, flush=True)
        continue
    arguments, prelude, streams = json.loads(request)
    process = os.fork()
    if process == 0:
        break
    print(process, flush=True)
else:
    sys.exit()

for descriptor, path in enumerate(streams):
    os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), descriptor)
exec(prelude)
sys.exit(main(arguments))
"""


class Launcher:
    """Starts `gan-tf ...` in processes of their own, one at a time, without 3 s of imports in each.

    A helper process imports TensorFlow once, uses none of it, and is forked for every command. That
    such processes compute what the command computes shows wherever a test compares their runs with
    `small_run`.
    """

    def __init__(self, folder):
        self._helper = subprocess.Popen(
            [sys.executable, "-c", _LAUNCHER],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.output, self._errors = folder / "output", folder / "errors"
        self.pid = None

    def start(self, *arguments, prelude=""):
        """Begins a command, after some Python code that says what is special about its world."""
        assert self.pid is None, "the process before was not waited for"
        for path in self.output, self._errors:  # here, lest a test reads what the last one said
            path.write_text("")
        streams = [os.devnull, str(self.output), str(self._errors)]
        self.pid = int(self._ask(json.dumps([list(map(str, arguments)), prelude, streams])))

    def signal(self, number):
        os.kill(self.pid, number)  # its number is its own until poll() has seen its end

    def poll(self):
        """Returns a `subprocess.CompletedProcess` once the process has ended, None before."""
        answer = self._ask("poll")
        if answer == "None":
            return None
        self.pid = None
        said = self.output.read_text(), self._errors.read_text()
        return subprocess.CompletedProcess([], int(answer), *said)

    def wait(self, seconds=120):
        deadline = time.monotonic() + seconds
        while (finished := self.poll()) is None:
            assert time.monotonic() < deadline, "the process does not end"
            time.sleep(0.01)
        return finished

    def run(self, *arguments, prelude=""):
        """Runs a command to its end, as `command` does."""
        self.start(*arguments, prelude=prelude)
        return self.wait()

    def wait_for(self, condition):
        """Waits until `condition()` is true; fails if the process ends before."""
        deadline = time.monotonic() + 100
        while not condition():
            finished = self.poll()
            assert finished is None and time.monotonic() < deadline, finished
            time.sleep(0.001)

    def end(self):
        """Kills the process, if a test has failed while it ran."""
        if self.pid is not None:
            self.signal(signal.SIGKILL)
            self.wait()

    def _ask(self, line):
        self._helper.stdin.write(line + "\n")
        self._helper.stdin.flush()
        return self._helper.stdout.readline().strip()


@pytest.fixture(scope="session")
def _launcher(tmp_path_factory):
    launcher = Launcher(tmp_path_factory.mktemp("launcher"))
    yield launcher
    launcher._helper.stdin.close()
    launcher._helper.wait()


@pytest.fixture
def launcher(_launcher):
    yield _launcher
    _launcher.end()
