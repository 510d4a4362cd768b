"""A run on one process or several: how the workers join, agree and stop, and which one writes.

All communication is TensorFlow's, and its coordination service detects a lost worker. There is no
encryption and no password, so use it in private networks only.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import re
import signal
import threading

import tensorflow as tf
from tensorflow.python.eager import context  # there is no public API for the coordination service

from gan_tf._version import __version__
from gan_tf.config import TrainConfig, whole_number
from gan_tf.distributed import addresses
from gan_tf.distributed.step import SharedGan
from gan_tf.gan import Gan
from gan_tf.run.rundir import RunDir
from gan_tf.system import console
from gan_tf.system.errors import RunFailed, UserError, one_line

KINDS = ("workers", "slurm", "mirrored")
# A worker without a heartbeat for this long counts as dead; a pause of half of it is harmless.
_SILENT_SECONDS = 20


class OneProcess:
    """A run in one process, and the interface of the other kinds of runs.

    Attributes:
      replicas: number of shares that each batch is divided into.
      is_chief: whether this process writes the run's files and prints its progress.
    """

    replicas = 1
    is_chief = True

    def make_gan(self, config: TrainConfig) -> Gan:
        """Returns the networks, ready for `train_step`."""
        return Gan(config)

    def any(self, flag: bool) -> bool:
        """Waits for all workers to reach this point; returns whether any worker's flag is true."""
        return flag

    def meet(self):
        """Waits for all workers to reach this point."""

    def agree(self, facts: dict):
        """Waits for all workers to reach this point; raises UserError if their facts differ."""

    def agree_on_weights(self, gan: Gan, when: str):
        """Raises RunFailed unless all workers' variables are equal to the last bit."""


class _Replicas(OneProcess):
    """Several devices, on this machine or others, that each compute a share of every batch."""

    def __init__(self, strategy):
        self._strategy = strategy
        self.replicas = strategy.num_replicas_in_sync

    def make_gan(self, config):
        return SharedGan(config, self._strategy)


class _Workers(_Replicas):
    """Several processes, on one machine or more, one for each address."""

    def __init__(self, strategy, everyone, index):
        super().__init__(strategy)
        self._names = functools.partial(addresses.names, everyone)
        self._index = index
        self._all_know_the_reason = False  # for which the run stops
        self.is_chief = index == 0

    def any(self, flag):
        return float(self._sum(self._on_each_device([float(flag)]))) > 0

    @tf.function
    def _sum(self, values):
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=0)

    @tf.function(reduce_retracing=True)
    def _concatenated(self, values):
        return self._strategy.gather(values, axis=0)

    def _on_each_device(self, values):
        return self._strategy.experimental_distribute_values_from_function(
            lambda _: tf.constant(values)
        )

    def meet(self):
        self._gather({})

    def agree(self, facts, error=UserError):
        gathered = self._gather(facts)
        differences = [
            f"{what} is {gathered[index].get(what)!r:.80} on {self._names([index])},"
            f" {value!r:.80} on {self._names([0])}"
            for index in sorted(gathered)
            for what, value in gathered[0].items()
            if gathered[index].get(what) != value
        ]
        if differences:
            self._all_know_the_reason = True
            raise error("; ".join(differences))

    def agree_on_weights(self, gan, when):
        self.agree({f"the checksum of the networks {when}": _checksum(gan)}, RunFailed)

    def _gather(self, facts):
        """Returns the facts of each worker, by its index."""
        line = json.dumps([self._index, facts]) + "\n"
        lines = self._concatenated(self._on_each_device([*line.encode()]))
        return dict(map(json.loads, bytes(lines.numpy().tolist()).splitlines()))

    def stopped_by(self, error: Exception) -> str:
        """Returns which other worker caused an error, and why; an empty text if none did."""
        cause = re.search(r"(?:Collective ops is aborted by: )+(.*)", str(error))
        if not cause:
            return ""
        tasks = {int(task) for task in re.findall(r"task:(\d+)", str(error)[cause.start(1) :])}
        # TensorFlow names no task if worker 0, which receives the heartbeats, does not answer.
        others = sorted(tasks - {self._index}) or [0]
        return f"stopped by {self._names(others)}: {cause[1].rstrip(':'):.300}"

    def stop_others(self, reason: str):
        """Stops the other workers with the reason why this one stops, unless they know it."""
        if not self._all_know_the_reason:
            with contextlib.suppress(tf.errors.OpError):  # the service may have stopped already
                context.context().report_error_to_cluster(tf.errors.UNAVAILABLE, reason)


@contextlib.contextmanager
def start(kind: str | None, config: TrainConfig, join_seconds: int):
    """Joins the workers of a run, and yields their common interface, an `OneProcess`.

    Waits for all workers, and must be called before TensorFlow's first operation.

    Args:
      kind: None for one process, "workers" for those in TF_CONFIG, "slurm" for the tasks of a Slurm
        job step, or "mirrored" for all devices of this machine.
      config: settings of the run, which must be the same on all workers.
      join_seconds: seconds to wait for the other workers.

    Raises:
      UserError: the environment does not define the workers, this worker's address is in use, or
        another worker has other settings or versions.
      RunFailed: not all workers started in time, or one was lost.
    """
    if kind is None:
        yield OneProcess()
        return
    if kind not in KINDS:
        raise UserError(f"`distribute` must be one of {', '.join(KINDS)}, not {kind!r}")
    if not config.fast:
        raise UserError(
            f"`distribute` {kind} needs `fast`: Keras's own Dropout cannot divide a batch"
        )
    if kind == "mirrored":
        yield _Replicas(_mirrored_strategy())
        return
    join_seconds = whole_number("join_seconds", join_seconds, at_least=1)
    find = addresses.from_slurm if kind == "slurm" else addresses.from_tf_config
    everyone, index = find(os.environ)
    workers = _Workers(_join(tuple(everyone), index, join_seconds), everyone, index)
    try:
        workers.agree(_facts(config))
        if not workers.is_chief:
            name, chief = (addresses.names(everyone, [one]) for one in (index, 0))
            console.say(
                f"{name} of {len(everyone)}: {chief} writes the run and prints its progress"
            )
        yield workers
    except Exception as error:
        stopped_by = workers.stopped_by(error)
        workers.stop_others(stopped_by or one_line(error))
        if not stopped_by:
            raise
        step = max(RunDir(config.run_folder).checkpoint_steps(), default=0)
        raise RunFailed(
            f"{stopped_by}; the same command on all machines resumes from step {step}"
        ) from error


def _facts(config):
    facts = {"gan_tf": __version__, "TensorFlow": tf.__version__, "Keras": tf.keras.__version__}
    facts |= {"`epochs`": config.epochs}
    for field in dataclasses.fields(config):
        if field.metadata["decides_numbers"]:
            facts[f"`{field.name}`"] = getattr(config, field.name)
    return facts


@functools.cache  # TensorFlow would mix up the sums of two strategies
def _mirrored_strategy():
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        raise UserError(
            "`distribute` mirrored needs several GPUs, and TensorFlow sees"
            f" {len(devices)} device on this machine: leave `distribute` out"
        )
    return tf.distribute.MirroredStrategy([device.name for device in devices])


@functools.cache  # a process can join other workers only once
def _join(everyone, index, join_seconds):
    """Waits for all workers, and returns their strategy."""
    addresses.wait_for_all(everyone, index, join_seconds)
    # Otherwise TensorFlow would connect through the proxy in http_proxy.
    os.environ["no_grpc_proxy"] = ",".join(addresses.split(one)[0] for one in everyone)
    try:
        strategy = _make_strategy(everyone, index)
    except RuntimeError as error:
        raise UserError(
            "`distribute` must come before TensorFlow's first operation in a process, and with the"
            f" same workers each time ({one_line(error)})"
        ) from error
    except tf.errors.OpError as error:
        lost = [
            other
            for other in range(len(everyone))
            if other != index and not addresses.accepts(everyone[other])
        ]
        raise RunFailed(
            f"{addresses.names(everyone, lost) or 'a worker'} did not join: give all workers the"
            f" same addresses and each its own index, and start them again ({one_line(error)})"
        ) from error
    if threading.current_thread() is threading.main_thread():
        # TensorFlow has replaced the handler of SIGTERM by one that does nothing.
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM) or signal.SIG_DFL)
    return strategy


def _make_strategy(everyone, index):
    milliseconds = 1000 * _SILENT_SECONDS
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader="/job:worker/replica:0/task:0",
        heartbeat_timeout_in_ms=milliseconds,
        cluster_register_timeout_in_ms=milliseconds,
    )
    service = context.context().coordination_service
    if hasattr(service, "cluster_register_with_barrier"):  # since TensorFlow 2.17
        service.cluster_register_with_barrier = True  # otherwise that time-out is an hour
    service.coordinated_job_list.add(name="worker", num_tasks=len(everyone))
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(everyone)}),
        task_type="worker",
        task_id=index,
        rpc_layer="grpc",
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
    )
    return tf.distribute.MultiWorkerMirroredStrategy(resolver)


def _checksum(gan):
    """Returns a checksum of all variables of the networks and optimizers, and of the step."""
    digest = hashlib.sha256(gan.step.numpy().tobytes())
    parts = gan.discriminator, gan.generator_optimizer, gan.discriminator_optimizer
    for part in (*gan.generators.values(), *parts):
        for variable in part.variables:
            digest.update(variable.numpy().tobytes())
    return digest.hexdigest()[:16]
