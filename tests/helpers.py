"""Shared by several tests: commands in real processes, damage to files, and comparisons."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from gan_tf.run.rundir import RunDir

ROOT = Path(__file__).resolve().parent.parent
ILL_RUNS = ROOT / "tests" / "report" / "ill_runs"
# Of an epoch of the small run; another size of batch is slow to trace.
SMALL_IMAGES, SMALL_STEPS = 80, 5
SMALL = [
    "--dataset=synthetic",
    f"--max-images={SMALL_IMAGES}",
    "--batch-size=16",
    "--snapshot-epochs",
    "1",
    "2",
]
EVALUATED_COUNT = 200
EVALUATED = {  # numbers of images where evaluation is fast
    "gan_tf.data.synthetic.COUNT": 384,  # three batches of the classifier: one shape to compile
    "gan_tf.data.synthetic.TEST_COUNT": EVALUATED_COUNT,
    "gan_tf.evaluation.evaluate.MIN_COUNT": EVALUATED_COUNT,
    "gan_tf.evaluation.curve.COUNT": EVALUATED_COUNT,
}
NO_NETWORK = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
PREPARED_IMAGES = 130  # in the data folder of the fixture `prepared`


def prepare(folder, images, shards=1, **options):
    """Lets TFDS prepare images, with their negatives as test images, under the name fashion_mnist.

    Args:
      folder: the data folder.
      images: `[count, 28, 28, 1]` uint8; their labels are 0 to 9 in turn.
      shards: number of files of each split.
      **options: of `download_and_prepare`.
    """
    import tensorflow_datasets as tfds

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

    sharding = tfds.download.DownloadConfig(num_shards=shards)
    Builder(data_dir=folder).download_and_prepare(download_config=sharding, **options)


def without_xla_lines(stderr):
    """Drops what TensorFlow before 2.20 prints, at any log level, when XLA is first used."""
    if tuple(map(int, version("tensorflow").split(".")[:2])) >= (2, 20):
        return stderr
    return re.sub(r"(WARNING: All log messages before absl|I0000 ).*\n", "", stderr)


def command(*arguments, cwd=ROOT, **environment):
    """Runs a command to its end, by default in the top folder of the repository."""
    finished = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    finished.stderr = without_xla_lines(finished.stderr)
    return finished


def refusal(*arguments, run=command, **options):
    """Runs a command that must be refused with exit code 2, and returns its one-line message."""
    finished = run(*arguments, **options)
    assert finished.returncode == 2, finished.stderr
    assert finished.stdout == ""
    assert finished.stderr.count("\n") == 1 and finished.stderr.endswith("\n"), finished.stderr
    return finished.stderr


def small(folder, *flags):
    """The arguments of the small run, in a folder."""
    return ["train", *SMALL, "--epochs=3", f"--run-dir={folder}", *flags]


def contents(folder):
    """Returns every path below a folder, with the bytes of the files."""
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


def replace_by_pipe(path):
    path.unlink()
    os.mkfifo(path)


def newest_step(run_dir):
    """Returns the step of the newest checkpoint; 0 if there is none."""
    return max(RunDir(run_dir).checkpoint_steps(), default=0)


def tensors(prefix):
    """Returns the arrays of a checkpoint by name, except the measured time.

    TensorFlow compares each with its checksum.
    """
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(prefix))
    names = reader.get_variable_to_shape_map()
    skipped = "_CHECKPOINTABLE_OBJECT_GRAPH", "seconds/"
    return {name: reader.get_tensor(name) for name in names if not name.startswith(skipped)}


def outcome(run_dir):
    """Returns all results of the small run, bit for bit, except measured times."""
    run = RunDir(run_dir)
    result = {}
    for prefix in [run.checkpoint_path(3 * SMALL_STEPS), *map(run.snapshot_path, (1, 2, 3))]:
        for name, array in tensors(prefix).items():
            result[prefix.name, name] = np.asarray(array).tobytes()
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
    differing = [name for name in found if found[name] != expected[name]]
    assert not differing, differing
    pictures = "training.gif", "epochs.png", "training_images.png", "loss_curves.png"
    for picture in pictures:
        assert Path(run_dir, picture).read_bytes() == Path(other, picture).read_bytes(), picture
    assert len(RunDir(run_dir).history_path.read_text().splitlines()) == 1 + 3  # no row twice
    assert not [path for path in Path(run_dir).rglob("*") if "_temp" in path.name]
    assert not list(Path(run_dir).rglob(".unfinished-*"))


_LAUNCHER = """
import json, os, sys
from gan_tf.cli import main
from gan_tf.system.console import import_tensorflow
import_tensorflow()
import gan_tf.training

for request in map(json.loads, iter(sys.stdin.readline, "")):
    if isinstance(request, int):
        done, status = os.waitpid(request, os.WNOHANG)
        print(os.waitstatus_to_exitcode(status) if done else None, flush=True)
        continue
    process = os.fork()
    if process == 0:
        break
    print(process, flush=True)
else:
    sys.exit()

arguments, prelude, streams = request
for descriptor, path in enumerate(streams):
    os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), descriptor)
exec(prelude)
sys.exit(main(arguments))
"""


class Launcher:
    """Starts `gan-tf ...` in processes of their own, without seconds of imports for each.

    A helper process imports TensorFlow once, without using it, and is forked for every command.
    Tests that compare runs with `small_run` show that these processes compute the same.
    """

    def __init__(self, folder):
        self._folder = folder
        self._helper = subprocess.Popen(
            [sys.executable, "-c", _LAUNCHER],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._started = []

    def start(self, *arguments, prelude="", terminal=None):
        """Starts a command after the Python code `prelude`, and returns its `Process`.

        Its output goes to a file, or to a terminal.
        """
        number = len(self._started)
        output, errors = self._folder / f"{number} output", self._folder / f"{number} errors"
        streams = [os.devnull, terminal or str(output), terminal or str(errors)]
        for path in output, errors:
            path.touch()
        pid = int(self._ask([[*map(str, arguments)], prelude, streams]))
        process = Process(pid, lambda: self._ask(pid), output, errors)
        self._started.append(process)
        return process

    def run(self, *arguments, prelude=""):
        """Runs a command to its end, as `command` does."""
        return self.start(*arguments, prelude=prelude).wait()

    def end(self):
        """Kills what a failed test has left running."""
        for process in self._started:
            if process.poll() is None:
                process.signal(signal.SIGKILL)
                process.wait()

    def close(self):
        self._helper.stdin.close()
        self._helper.wait()

    def _ask(self, request):
        self._helper.stdin.write(json.dumps(request) + "\n")
        self._helper.stdin.flush()
        return self._helper.stdout.readline().strip()


class Process:
    """A process of the `Launcher`."""

    def __init__(self, pid, ask, output, errors):
        self.pid = pid
        self._ask = ask
        self.output = output
        self.errors = errors
        self._finished = None

    def signal(self, number):
        if self._finished is None:  # the process ID stays valid until poll() has seen the end
            os.kill(self.pid, number)

    def poll(self):
        """Returns a `subprocess.CompletedProcess` once the process has ended, None before."""
        if self._finished is None and (code := self._ask()) != "None":
            streams = self.output.read_text(), without_xla_lines(self.errors.read_text())
            self._finished = subprocess.CompletedProcess([], int(code), *streams)
        return self._finished

    def wait(self, seconds=300):
        deadline = time.monotonic() + seconds
        while (finished := self.poll()) is None:
            assert time.monotonic() < deadline, "the process does not end"
            time.sleep(0.01)
        return finished

    def wait_for(self, condition):
        """Waits until `condition()` is true; fails if the process ends first."""
        deadline = time.monotonic() + 300
        while not condition():
            finished = self.poll()
            assert finished is None and time.monotonic() < deadline, finished
            time.sleep(0.01)
