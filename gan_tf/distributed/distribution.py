"""One process or many: how the workers of a run share each batch, and which of them writes.

Nothing else in gan_tf knows of `tf.distribute`. `start` gives what a training needs of it; for one
process, which is the default, that is `OneProcess`, which does nothing.

What makes N workers compute what one process computes:
- Of a batch, replica r of N takes rows r, r + N, r + 2 N, ... Its share may be empty.
- A mean over the batch is a sum over the share divided by the size of the whole batch, added up
  over the replicas; so are gradients.
- BatchNorm takes its statistics over the whole batch, and a Dropout mask is a function of the
  position in it.
"""

import contextlib
import dataclasses
import hashlib
import os

import numpy as np
import tensorflow as tf

from gan_tf._version import __version__
from gan_tf.config import TrainConfig, whole_number
from gan_tf.distributed import addresses
from gan_tf.distributed.cluster import Cluster
from gan_tf.gan import Gan
from gan_tf.system import console
from gan_tf.system.errors import RunFailed, UserError

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


def start(kind: str | None, config: TrainConfig, join_seconds: int):
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
    return _Workers(Cluster(there, index, facts, join_seconds))


class OneProcess:
    """A run on its own; also what `start` promises, in its simplest form.

    Attributes:
      replicas: into how many shares a batch is divided.
      is_chief: whether this process writes the run's files and speaks for the run.
      several: whether there are other processes.
    """

    replicas = 1
    is_chief = True
    several = False

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def make_gan(self, config: TrainConfig) -> Gan:
        """Returns the networks, ready for `train_step`."""
        return Gan(config)

    def train_step(self, gan: Gan, real_images, noise) -> dict:
        """Makes one move of both players on a batch; every worker is given the whole of it."""
        return gan.train_step(tf.constant(real_images), noise)

    def any(self, *flags) -> tuple:
        """Tells of each flag whether any worker has raised it, the same on all workers.

        Among several, flags travel with the next training step: the answer is that of the last one.
        """
        return flags

    def agree(self, what: str, value):
        """Waits for all workers to come to this point; raises RunFailed if their values differ."""

    def agree_on_weights(self, gan: Gan, when: str):
        """Raises RunFailed unless all workers' variables are equal to the last bit."""

    @contextlib.contextmanager
    def chief_first(self):
        """Lets the chief go through the block before all others, who find what it has made."""
        yield

    def saved(self, step: int):
        """Takes note of where the run would go on."""

    def leave(self):
        """Parts with the others, at a point to which all have come."""


class _Distributed(OneProcess):
    """What runs on several devices, here or elsewhere, have in common."""

    def _begin(self, strategy):
        self._strategy = strategy
        self.replicas = strategy.num_replicas_in_sync
        self._raised = self._summed = None
        self._step = None

    def make_gan(self, config):
        with self._strategy.scope():
            gan = Gan(config)
        for optimizer in (gan.generator_optimizer, gan.discriminator_optimizer):
            # The step has added up the gradients by then, as it needs their norms.
            if not hasattr(optimizer, "_all_reduce_sum_gradients"):
                raise RunFailed(
                    f"`distribute` does not know Keras {tf.keras.__version__}: use 3.15"
                )
            optimizer._all_reduce_sum_gradients = list
        for layer in gan.generator.layers + gan.discriminator.layers:
            if isinstance(layer, tf.keras.layers.BatchNormalization):
                layer.moments = self._moments
            elif isinstance(layer, tf.keras.layers.Dropout):
                layer.rows = _rows
        self._step = self._make_step(gan)
        return gan

    def train_step(self, gan, real_images, noise):
        raised = tf.constant(self._raised or [0.0, 0.0])
        images, noise = self._shares(real_images), self._shares(noise)
        metrics, self._summed = self._step(images, noise, raised, len(real_images))
        return metrics

    def any(self, *flags):
        answers = (False,) * len(flags)
        if self._summed is not None:
            answers = tuple((self._summed > 0).numpy().tolist())
        # What all know by now need not travel again.
        self._raised = [float(flag and not known) for flag, known in zip(flags, answers)]
        return answers

    def _shares(self, batch):
        """Divides a batch among the replicas."""

        def share(context):
            rows = batch[context.replica_id_in_sync_group :: self.replicas]
            # With no image at all, TensorFlow's own convolutions mistake their shapes: a replica
            # without a share is given one that does not count.
            return tf.constant(rows if len(rows) else batch[:1])

        return self._strategy.experimental_distribute_values_from_function(share)

    def _counted(self, values):
        """The values that this replica adds to a sum over the batch: 0 if it has no share."""
        if self._batch_size >= self.replicas:
            return values
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return values * tf.cast(replica < self._batch_size, values.dtype)

    def _moments(self, rows):
        """Mean and variance of each column over the rows of all replicas."""
        count = tf.fill([1], tf.cast(tf.shape(rows)[0], tf.float32))
        sums = tf.concat([tf.reduce_sum(rows, 0), tf.reduce_sum(rows**2, 0), count], 0)
        sums = _total(self._counted(sums))
        mean, mean_square = tf.split(sums[:-1] / sums[-1], 2)
        return mean, tf.maximum(mean_square - mean**2, 0)

    def _make_step(self, gan):
        @tf.function
        def step(images, noise, raised, batch_size):
            self._batch_size = batch_size  # for what the layers call while this is traced

            def replica_step(images, noise):
                def mean(values):
                    return self._counted(tf.reduce_sum(values)) / batch_size

                gan.mean, gan.total = mean, _total
                return gan.move(images, noise), _total(tf.identity(raised))

            results = self._strategy.run(replica_step, args=(images, noise))
            gan.count_move()  # here, where a variable is the same on all replicas
            return tf.nest.map_structure(
                lambda result: self._strategy.experimental_local_results(result)[0], results
            )

        return step


def _total(values):
    """The sum over all replicas, of each tensor."""
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def _rows():
    """The first row of the batch in this replica's share, and how many rows apart the next is."""
    context = tf.distribute.get_replica_context()
    return context.replica_id_in_sync_group, context.num_replicas_in_sync


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

    several = True

    def __init__(self, cluster):
        self._cluster = cluster
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

    def __exit__(self, *error):
        self._cluster.__exit__(*error)

    def make_gan(self, config):
        with self._explained():
            return super().make_gan(config)

    def train_step(self, gan, real_images, noise):
        with self._explained():
            metrics = super().train_step(gan, real_images, noise)
            return {name: value.numpy() for name, value in metrics.items()}

    def agree(self, what, value):
        self._cluster.agree(what, value)

    def agree_on_weights(self, gan, when):
        self._cluster.agree(f"the networks {when}", checksum(gan))

    @contextlib.contextmanager
    def chief_first(self):
        if not self.is_chief:
            self._cluster.agree("", None)
        yield
        if self.is_chief:
            self._cluster.agree("", None)

    def saved(self, step):
        self._cluster.advice = f"the same command on all machines goes on from step {step}"

    def leave(self):
        self._cluster.leave()

    @contextlib.contextmanager
    def _explained(self):
        try:
            yield
        except _BROKEN as error:
            raise self._cluster.explain(error) from error


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
