"""One process or many: who the workers of a run are, how they agree, and which of them writes.

`start` gives what a training needs of it; for one process, which is the default, that is
`OneProcess`, which does nothing.
"""

import dataclasses
import hashlib
import os

import numpy as np
import tensorflow as tf

from gan_tf._version import __version__
from gan_tf.config import TrainConfig, whole_number
from gan_tf.distributed import addresses
from gan_tf.distributed.cluster import Cluster
from gan_tf.distributed.step import SharedGan
from gan_tf.gan import Gan
from gan_tf.run.rundir import RunDir
from gan_tf.system import console
from gan_tf.system.errors import UserError

KINDS = ("workers", "slurm", "mirrored")
# Longer than any pause that the workers' own connections allow: they notice, and say, who is gone.
_TENSORFLOW_HEARTBEAT_MS = 3_600_000
_BROKEN = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.FailedPreconditionError,
)


def start(kind: str | None, config: TrainConfig, join_seconds: int) -> "OneProcess":
    """Returns the context manager in which a run trains: alone, or together with other workers.

    Entering waits for all workers. It must come before TensorFlow's first operation.

    Args:
      kind: None for one process; "workers" for those that TF_CONFIG names, "slurm" for the tasks of
        a Slurm job step, "mirrored" for all devices of this machine.
      config: what all workers must agree on.
      join_seconds: how long to wait for the other workers.

    Raises:
      UserError: the environment does not say who the workers are, or the own address is in use.
      RunFailed: not all workers came in time.
    """
    if kind is None:
        return OneProcess()
    if kind not in KINDS:
        raise UserError(f"`distribute` must be one of {', '.join(KINDS)}, not {kind!r}")
    if not config.fast:
        raise UserError(f"`distribute` {kind} needs `fast`: Keras's own Dropout cannot be shared")
    if kind == "mirrored":
        return _Mirrored()
    join_seconds = whole_number("join_seconds", join_seconds, at_least=1)
    if kind == "slurm":
        there, index = addresses.from_slurm(os.environ)
    else:
        there, index = addresses.from_tf_config(os.environ.get("TF_CONFIG"))
    facts = {"gan_tf": __version__, "TensorFlow": tf.__version__}
    facts |= {"Keras": tf.keras.__version__, "`epochs`": config.epochs}
    for field in dataclasses.fields(config):
        if field.metadata["decides_numbers"]:
            facts[f"`{field.name}`"] = getattr(config, field.name)
    return _Workers(Cluster(there, index, facts, join_seconds), RunDir(config.run_folder))


class OneProcess:
    """A run on its own; also what `start` promises, in its simplest form.

    Attributes:
      replicas: into how many shares a batch is divided.
      is_chief: whether this process writes the run's files and speaks for the run.
    """

    replicas = 1
    is_chief = True

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def make_gan(self, config: TrainConfig) -> Gan:
        """Returns the networks, ready for `train_step`."""
        return Gan(config)

    def any(self, flag: bool) -> bool:
        """Returns whether any worker's flag is true, once all have come to this point."""
        return flag

    def meet(self):
        """Waits for all workers to come to this point."""
        self.agree("", None)

    def agree(self, what: str, value):
        """Waits for all workers to come to this point; raises RunFailed if their values differ."""

    def agree_on_weights(self, gan: Gan, when: str):
        """Raises RunFailed unless all workers' variables are equal to the last bit."""

    def leave(self):
        """Parts with the others, at a point to which all have come."""


class _Distributed(OneProcess):
    """What runs on several devices, here or elsewhere, have in common."""

    def _begin(self, strategy):
        self._strategy = strategy
        self.replicas = strategy.num_replicas_in_sync

    def make_gan(self, config):
        return SharedGan(config, self._strategy)


class _Mirrored(_Distributed):
    """All GPUs of this machine, or its logical CPU devices, in one process."""

    def __enter__(self):
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        if len(devices) < 2:
            raise UserError(
                "`distribute` mirrored needs several GPUs, and TensorFlow sees"
                f" {len(devices)} device on this machine: leave `distribute` out"
            )
        self._begin(tf.distribute.MirroredStrategy([device.name for device in devices]))
        return self


class _Workers(_Distributed):
    """Processes on one machine or several, one for each address of a cluster."""

    def __init__(self, cluster, run):
        self._cluster = cluster
        cluster.advice = lambda: (
            "the same command on all machines goes on from step"
            f" {max(run.checkpoint_steps(), default=0)}"
        )
        self.is_chief = cluster.index == 0

    def __enter__(self):
        self._cluster.__enter__()
        try:
            self._begin(_make_strategy(self._cluster.addresses, self._cluster.index))
        except BaseException as error:
            self._cluster.__exit__(type(error), error, error.__traceback__)
            raise
        if not self.is_chief:
            here, chief = self._cluster.name(self._cluster.index), self._cluster.name(0)
            console.say(f"{here} of {self.replicas} trains; {chief} writes, and speaks for all")
        return self

    def __exit__(self, kind, error, traceback):
        if isinstance(error, _BROKEN):
            explained = self._cluster.explain(error)
            self._cluster.__exit__(type(explained), explained, traceback)
            raise explained from error
        self._cluster.__exit__(kind, error, traceback)

    def any(self, flag):
        return float(self._sum(tf.constant(float(flag)))) > 0

    @tf.function
    def _sum(self, value):
        def on_replica(value):
            context = tf.distribute.get_replica_context()
            value = tf.identity(value)  # on a device of its own, which an argument has not
            return context.all_reduce(tf.distribute.ReduceOp.SUM, value)

        total = self._strategy.run(on_replica, args=(value,))
        return self._strategy.experimental_local_results(total)[0]

    def agree(self, what, value):
        self._cluster.agree(what, value)

    def agree_on_weights(self, gan, when):
        self._cluster.agree(f"the networks {when}", checksum(gan))

    def leave(self):
        self._cluster.leave()


def _make_strategy(addresses, index):
    from tensorflow.python.eager import context  # no public way leads to these settings

    # TensorFlow would end the run after 10 s without a worker's sign of life.
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader="/job:worker/replica:0/task:0",
        heartbeat_timeout_in_ms=_TENSORFLOW_HEARTBEAT_MS,
    )
    jobs = context.context().coordination_service.coordinated_job_list
    jobs.add(name="worker", num_tasks=len(addresses))
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": addresses}),
        task_type="worker",
        task_id=index,
        rpc_layer="grpc",
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
    )
    return tf.distribute.MultiWorkerMirroredStrategy(resolver)


def checksum(gan: Gan) -> str:
    """Returns the SHA-256 of every variable of both networks and optimizers."""
    digest = hashlib.sha256()
    parts = (
        *gan.generators.values(),
        gan.discriminator,
        gan.generator_optimizer,
        gan.discriminator_optimizer,
    )
    for part in parts:
        for variable in part.variables:
            digest.update(np.asarray(variable.numpy()).tobytes())
    return digest.hexdigest()
