"""Several workers compute what one process computes; real processes over the loopback device.

Those processes find a dead proxy in their environment: TensorFlow must not go through it.
"""

import json
import os
import shutil
import signal
import socket
import threading
import time

import numpy as np
import pytest
from helpers import NO_NETWORK, newest_step, tensors

from gan_tf.distributed.addresses import from_slurm, from_tf_config, split, wait_for_all
from gan_tf.run.rundir import RunDir
from gan_tf.system.errors import RunFailed, UserError

SHORT = [
    "--dataset=synthetic",
    "--snapshot-epochs=1",
    "--max-images=48",
    "--batch-size=6",
]  # 8 steps per epoch

# Changes of a worker, before its command runs.
_CHANGES = """
from gan_tf import data, recording
from gan_tf.distributed import distribution, step
from gan_tf.system.errors import UserError

load, write = data.load_images, recording.Record._write_epoch

def die(*_):
    os.kill(os.getpid(), 9)

def die_while_all_join():
    distribution._make_strategy = die

def wait_for_seconds_only():
    distribution._SILENT_SECONDS = 5

def die_before_the_first_step():
    step.SharedGan.train_step = die

def die_after_an_epoch_before_it_is_saved():
    recording.Record._write_epoch = lambda *arguments: (write(*arguments), die())

def have_other_settings():
    arguments.append("--seed=1")
    distribution.__version__ = "9"

def have_other_images():
    data.load_images = lambda config: 255 - load(config)

def have_no_images():
    def refuse(config):
        raise UserError("no such data")
    data.load_images = refuse
"""


def free_addresses(count, host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sockets = [socket.create_server((host.strip("[]"), 0), family=family) for _ in range(count)]
    addresses = [f"{host}:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return addresses


class Workers:
    """The processes of one run.

    Args:
      arguments: of the command `train`.
      changes: code that changes a process, by its index.
      without: indices of workers that are not started.
    """

    def __init__(self, launcher, arguments, count=2, host="127.0.0.1", changes=None, without=()):
        self.addresses = free_addresses(count, host)
        self.processes = {}
        for index in {*range(count)} - {*without}:
            task = NO_NETWORK | {"TF_CONFIG": tf_config(*self.addresses, index=index)}
            change = (changes or {}).get(index, "")
            self.processes[index] = launcher.start(
                *["train", *arguments, "--distribute=workers"],
                prelude=f"os.environ.update({task!r})\n{_CHANGES}\n{change}",
            )

    def name(self, index):
        return f"worker {index} ({self.addresses[index]})"

    def lines(self, index):
        return self.processes[index].output.read_text().splitlines()

    def error(self, index):
        (line,) = self.processes[index].errors.read_text().splitlines()
        return line

    def wait(self):
        """Returns the exit codes by index."""
        return {index: process.wait().returncode for index, process in self.processes.items()}

    def wait_until(self, condition):
        def one_has_ended():
            return any(process.poll() for process in self.processes.values())

        self.processes[0].wait_for(lambda: condition() or one_has_ended())
        assert not one_has_ended()


def train(launcher, count, *arguments):
    if count == 1:
        finished = launcher.run("train", *arguments)
        assert finished.returncode == 0, finished.stderr
        return finished
    workers = Workers(launcher, arguments, count)
    assert {*workers.wait().values()} == {0}
    return workers


# --------------------------------------------------------------- addresses of the workers


def tf_config(*workers, index="0", kind="worker", **jobs):
    cluster = json.dumps({**jobs, "worker": workers})
    return f'{{"cluster": {cluster}, "task": {{"type": "{kind}", "index": {index}}}}}'


BAD_TF_CONFIG = {
    "": "TF_CONFIG",
    "{": "JSONDecodeError",
    "[]": "TF_CONFIG must be like",
    "[" * 100_000: "RecursionError",
    '{"task": {"type": "worker", "index": 0}}': "cluster",
    '{"cluster": {"worker": ["a:1"]}}': "task",
    tf_config().replace("[]", '"a:1"'): "'a' is not",
    tf_config("a:1", 3): "int",
    tf_config("a:1", ps=["b:1"]): "type 'ps'",
    tf_config("a:1", kind="evaluator"): "type 'evaluator'",
    tf_config("a:1", index="9" * 5000): "digits",
    **{tf_config("a:1", index=i): "there are 1" for i in ("1", "-1", "0.9", "true", "1e400")},
    **{
        tf_config("b:1", address): "is not one worker's host:port"
        for address in ["a", "a:x", "a:0", "a:65536", "a:" + "9" * 5000, ":1", "::1:1", "a..b:1"]
        + ["b:1", "x" * 70 + ":1"]
    },
}


@pytest.mark.parametrize("text", BAD_TF_CONFIG)
def test_a_bad_tf_config_is_refused_in_one_line(text):
    with pytest.raises(UserError) as refusal:
        from_tf_config({"TF_CONFIG": text})
    assert BAD_TF_CONFIG[text] in str(refusal.value)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 500


def test_a_good_tf_config():
    everyone = ["c.example.org:1", "a:1", "[::1]:65535"]
    for kind, number, index in [("chief", 0, 0), ("worker", 0, 1), ("worker", 1, 2)]:
        text = tf_config(*everyone[1:], chief=everyone[:1], kind=kind, index=number)
        assert from_tf_config({"TF_CONFIG": text}) == (everyone, index)


def test_the_variables_of_slurm(monkeypatch):
    variables = {
        "SLURM_JOB_ID": "7",
        "SLURM_STEP_NODELIST": "n[9-10],login",
        "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
        "SLURM_STEP_NUM_TASKS": "5",
        "SLURM_PROCID": "1",
        "SLURMD_NODENAME": "n9",
        "SLURM_LOCALID": "1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    everyone, index = from_slurm(os.environ)
    assert sorted(everyone) == everyone and everyone[index] == "n9:20113"
    nodes = [address.partition(":")[0] for address in everyone]
    assert nodes == ["login", "n10", "n10", "n9", "n9"] and len({*everyone}) == 5
    bad = {"SLURM_LOCALID": "2", "SLURM_STEP_NODELIST": "n[1", "SLURM_JOB_ID": ""}
    for name, value in [*dict.fromkeys(variables).items(), *bad.items()]:
        with monkeypatch.context() as patch, pytest.raises(UserError, match="srun"):
            patch.setenv(name, value) if value is not None else patch.delenv(name)
            from_slurm(os.environ)


def test_a_worker_that_never_comes_is_named():
    everyone = free_addresses(3)
    with socket.create_server(split(everyone[1])):
        with pytest.raises(RunFailed, match=r"waited 1 s for worker 2 \(127.*\):.*`join_seconds`"):
            wait_for_all(everyone, 0, seconds=1)
        with pytest.raises(UserError, match=r"worker 1 \(127.*its own address.*in use"):
            wait_for_all(everyone, 1, seconds=1)


def test_a_worker_stays_at_its_address_until_all_have_reached_it():
    """Otherwise the others would wait for one that continued and was killed."""
    everyone = free_addresses(2)
    with socket.create_server(split(everyone[1])):
        with pytest.raises(RunFailed, match=f"for a worker that has not reached {everyone[0]}"):
            wait_for_all(everyone, 0, seconds=1)

    outcomes = {}

    def wait(index):
        outcomes[index] = wait_for_all(everyone, index, seconds=60)

    threads = [threading.Thread(target=wait, args=[index]) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == {0: None, 1: None}


# ------------------------------------------------------------------------ the campaign


# Prints the replicas, the step and the metrics of each step.
_STEPS = """
import tensorflow as tf
from gan_tf.config import TrainConfig
from gan_tf.distributed import distribution
from gan_tf.gan import METRICS
from gan_tf.noise import make_noise

def print_steps(kind, counts, latent_dim=100):
    config = TrainConfig(dataset="synthetic", latent_dim=latent_dim)
    with distribution.start(kind, config, 300) as workers:
        gan = workers.make_gan(config)
        for number, count in enumerate(counts):
            images = tf.random.stateless_uniform([count, 28, 28, 1], [0, number], -1, 1).numpy()
            metrics = gan.train_step(images, make_noise(count, latent_dim, 0, number))
            print(workers.replicas, gan.steps_done, *(float(metrics[name]) for name in METRICS))
"""


def steps(output):
    """Returns replicas, steps, and the metrics of each step, as `_STEPS` printed them."""
    replicas, numbers, *metrics = zip(*(map(float, line.split()) for line in output.splitlines()))
    return replicas, numbers, [*zip(*metrics)]


@pytest.mark.campaign
def test_fifty_steps_of_two_workers_equal_those_of_one_process(launcher):
    alone = launcher.run(prelude=f"{_STEPS}\nprint_steps(None, [15] * 50)\nsys.exit()")
    code = f"{_STEPS}\nprint_steps('workers', [15] * 50)\nsys.exit()"
    host = "[::1]" if os.path.exists("/proc/net/if_inet6") else "127.0.0.1"
    workers = Workers(launcher, [], host=host, changes=dict.fromkeys(range(2), code))
    assert workers.wait() == {0: 0, 1: 0}
    expected = steps(alone.stdout)
    for index in range(2):
        lines = [line for line in workers.lines(index) if not line.startswith("worker")]
        replicas, numbers, metrics = steps("\n".join(lines))
        assert {*replicas} == {2} and numbers == expected[1] == (*range(1, 51),)
        for number, row, other in zip(numbers, metrics, expected[2]):
            # Rounding alone, with oneDNN on or off, changes step 50 of one process by 4e-3.
            assert row[:2] == pytest.approx(other[:2], rel=1e-6 if number == 1 else 5e-3), number


@pytest.mark.campaign
def test_two_devices_equal_one_even_without_a_share_and_twice_in_a_process(launcher):
    code = """
device = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [device] * 2)
for kind in None, "mirrored":
    print_steps(kind, [5, 1])
for kind in None, "mirrored":
    print_steps(kind, [5], latent_dim=50)
sys.exit()
"""
    replicas, numbers, metrics = steps(launcher.run(prelude=_STEPS + code).stdout)
    assert replicas == (1, 1, 2, 2, 1, 2) and numbers == (1, 2, 1, 2, 1, 1)
    for alone, mirrored, tolerance in [(0, 2, 1e-5), (1, 3, 1e-3), (4, 5, 1e-5)]:
        assert metrics[mirrored] == pytest.approx(metrics[alone], rel=tolerance)


@pytest.mark.campaign
def test_one_process_resumes_with_two_and_back(tmp_path, launcher):
    flags = [*SHORT, "--max-images=13"]  # the last batch has one image, less than one for each
    runs = RunDir(tmp_path / "one"), RunDir(tmp_path / "changing")
    train(launcher, 1, *flags, "--epochs=1", f"--run-dir={runs[0].path}")
    shutil.copytree(runs[0].path, runs[1].path)
    train(launcher, 1, *flags, "--epochs=3", f"--run-dir={runs[0].path}")
    workers = train(launcher, 2, *flags, "--epochs=2", f"--run-dir={runs[1].path}")
    assert "replicas is 2, was 1" in workers.error(0)
    assert workers.processes[1].errors.read_text() == ""
    train(launcher, 1, *flags, "--epochs=3", f"--run-dir={runs[1].path}")
    for row, expected in zip(*(run.read_history() for run in runs), strict=True):
        for name in "generator_loss", "discriminator_loss":
            assert row[name] == pytest.approx(expected[name], rel=1e-4), row["epoch"]


@pytest.mark.campaign
def test_bad_days_of_two_workers_change_no_bit(tmp_path, launcher):
    """Worker 0 is killed, then paused; worker 1 is suspended for good, and interrupted."""
    folder, undisturbed = tmp_path / "bad days", tmp_path / "undisturbed"
    flags = [*SHORT, "--epochs=4", f"--run-dir={folder}"]
    workers = train(launcher, 2, *flags, f"--run-dir={undisturbed}")
    # Worker 0 alone writes and reports.
    assert any("epoch  4/4" in line for line in workers.lines(0))
    one, two = workers.name(0), workers.name(1)
    assert workers.lines(1) == [f"{two} of 2: {one} writes the run and prints its progress"]
    assert len([*undisturbed.glob("events*")]) == 1
    for step, victim, number, codes in [
        (8, 0, signal.SIGKILL, {1: 1}),
        (16, 1, signal.SIGSTOP, {0: 1}),
        (24, 1, signal.SIGINT, {0: 143, 1: 130}),
    ]:
        workers = Workers(launcher, flags)
        workers.wait_until(lambda: newest_step(folder) >= step)
        if number == signal.SIGSTOP:
            workers.processes[0].signal(signal.SIGSTOP)
            time.sleep(8)  # does no harm
            workers.processes[0].signal(signal.SIGCONT)
        workers.processes[victim].signal(number)
        for index, code in codes.items():
            assert workers.processes[index].wait(60).returncode == code
        assert newest_step(folder) < 32
        if number != signal.SIGINT:
            assert f"stopped by {workers.name(victim)}: " in workers.error(1 - victim)
            assert workers.error(1 - victim).endswith(f"from step {newest_step(folder)}")
        launcher.end()
    train(launcher, 2, *flags)

    def losses(path):
        return [
            (row["epoch"], row["generator_loss"], row["discriminator_loss"])
            for row in RunDir(path).read_history()
        ]

    assert losses(folder) == losses(undisturbed)
    expected = tensors(RunDir(undisturbed).checkpoint_path(32))
    for name, array in tensors(RunDir(folder).checkpoint_path(32)).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


@pytest.mark.campaign
@pytest.mark.parametrize(
    "victim, death, message",
    [
        (0, "die_while_all_join()", "did not join"),
        (1, "die_while_all_join()", "did not join"),
        (1, "die_before_the_first_step()", "resumes from step 0"),
        (0, "die_after_an_epoch_before_it_is_saved()", "resumes from step 0"),
    ],
)
def test_a_death_at_any_moment_ends_the_other_within_a_minute(
    tmp_path, launcher, victim, death, message
):
    folder = tmp_path / "run"
    changes = {victim: death}
    if message == "did not join":
        changes[1 - victim] = "wait_for_seconds_only()"
    arguments = [*SHORT, "--epochs=1", f"--run-dir={folder}"]
    workers = Workers(launcher, arguments, changes=changes)
    assert workers.processes[victim].wait().returncode == -signal.SIGKILL
    assert workers.processes[1 - victim].wait(60).returncode == 1
    assert workers.name(victim) in workers.error(1 - victim)
    assert message in workers.error(1 - victim)
    assert newest_step(folder) == 0


@pytest.mark.campaign
@pytest.mark.parametrize(
    "index, change, codes, message",
    [
        (1, "have_other_settings()", [2, 2], "gan_tf is '9' on {1}, "),
        (1, "have_other_images()", [2, 2], "the SHA-256 of the training images is "),
        (0, "have_no_images()", [2, 1], "no such data"),
    ],
)
def test_what_does_not_fit_is_reported_by_all_before_the_first_step(
    tmp_path, launcher, index, change, codes, message
):
    folder = tmp_path / "run"
    arguments = [*SHORT, "--epochs=1", f"--run-dir={folder}"]
    workers = Workers(launcher, arguments, changes={index: change})
    assert workers.wait() == dict(enumerate(codes))
    for one in range(2):
        assert message.format(workers.name(0), workers.name(1)) in workers.error(one)
    assert not folder.exists()


@pytest.mark.campaign
def test_signals_end_a_worker_that_waits_for_others(tmp_path, launcher):
    arguments = [*SHORT, "--epochs=1", f"--run-dir={tmp_path / 'run'}"]
    workers = Workers(launcher, arguments, count=3, without=[2])
    waiting = [f"waiting for {workers.name(2)}"]
    workers.wait_until(lambda: all(workers.lines(index)[-1:] == waiting for index in range(2)))
    workers.processes[0].signal(signal.SIGINT)
    workers.processes[1].signal(signal.SIGTERM)
    assert workers.wait() == {0: 130, 1: -signal.SIGTERM}
    assert not (tmp_path / "run").exists()
