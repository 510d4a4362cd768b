"""The training of a GAN from its first step, or the newest checkpoint, to its last epoch."""

import contextlib
import dataclasses
import signal
import time
import warnings

import numpy as np
import tensorflow as tf

from gan_tf import data
from gan_tf.config import OWN_IMAGES, TrainConfig
from gan_tf.distributed import distribution
from gan_tf.evaluation.variety import generator_variety, real_variety
from gan_tf.gan import METRICS
from gan_tf.noise import make_noise
from gan_tf.report import write_report
from gan_tf.run import artifacts, checkpoints, tensorboard
from gan_tf.run.rundir import RunDir
from gan_tf.snapshots import Snapshot
from gan_tf.system import console, environment, interrupts
from gan_tf.system.errors import RunFailed, UserError, one_line

# What TensorFlow and oneDNN raise where memory ends.
_OUT_OF_MEMORY = (tf.errors.ResourceExhaustedError, tf.errors.AbortedError, MemoryError)
CHECKPOINT_SECONDS = 180  # how much of a long epoch a killed run may lose


def train(
    config: TrainConfig,
    overwrite: bool = False,
    images=None,
    on_epoch=None,
    distribute: str | None = None,
    join_seconds: int = 300,
) -> list[dict]:
    """Trains a DCGAN, or goes on with the run in `config.run_folder` where it stopped.

    Seeds Keras's, NumPy's and Python's global random state. Ctrl-C and SIGTERM save before they
    end the run; a second one ends it at once.

    Args:
      config: the choices of the run.
      overwrite: replace the run that is in the folder by a new one, as soon as that has begun.
      images: training images of your own in place of `config.dataset`: `[count, 28, 28, 1]` or
        `[count, 28, 28]`, uint8 in [0, 255]; they are copied. Their SHA-256 goes into config.json,
        so that the run goes on with the same images only.
      on_epoch: called with a copy of each new row of history.csv after its epoch is saved.
      distribute: share each batch with other processes, all of which call this function, or with
        other devices: "workers", "slurm" or "mirrored"; see docs/scaling.md.
      join_seconds: how long to wait for the other processes.

    Returns:
      The rows of history.csv, one dict per epoch; of several processes the first one alone writes,
      and has them.

    Raises:
      UserError: the run folder, the data or the settings do not fit; nothing was changed.
      RunFailed: a loss or a gradient is no longer finite, the disk is full, another process has
        taken the folder, or another worker is gone; what was saved before is kept.
      KeyboardInterrupt: after Ctrl-C; SystemExit(143) after SIGTERM.
    """
    if images is not None:
        images = data.own_images(images)
        config = dataclasses.replace(config, dataset=OWN_IMAGES + data.checksum(images)[:16])
    run = RunDir(config.run_folder)
    if not overwrite and run.is_finished(config):
        console.say_finished(run.path, config.epochs)
        return run.read_history()
    try:
        with distribution.start(distribute, config, join_seconds) as workers:
            with run.locked() if workers.is_chief else contextlib.nullcontext():
                with workers.chief_first():
                    if workers.is_chief:
                        run.settle()
                        if overwrite:
                            run.check_replaceable()
                        else:
                            run.check(config)
                    if images is None:
                        images = data.load_images(config)
                if config.batch_size > len(images):
                    raise UserError(
                        f"`batch_size` {config.batch_size} is larger than the data set:"
                        f" {len(images)} images"
                    )
                if workers.several:
                    workers.agree("the training images", data.checksum(images))
                if workers.is_chief and not overwrite:
                    _check_images(run, config, images)
                training = _Training(config, run, images, on_epoch, workers)
                if overwrite and workers.is_chief:
                    training.replace_run()
                return training.run_to_end()
    except _OUT_OF_MEMORY as error:
        raise RunFailed(f"not enough memory, or TensorFlow gave up: {one_line(error)}") from error


def _check_images(run, config, images):
    """Refuses to go on with other images than those that a run began with."""
    if run.config_path.exists():
        begun, there = run.read_config()
        recorded = there.get("images_sha256")
        if recorded is None:  # in the oldest runs
            same = config.dataset == begun.dataset
        else:
            same = recorded == data.checksum(images)
        if not same:
            raise UserError(
                f"the images of `dataset` {config.dataset} are not those that the run in {run.path}"
                " began with: bring them back, or name another `run_dir`"
            )


class _Training:
    """A run under way: the networks, the epoch that they are in, and the rows before it."""

    def __init__(self, config, run, training_images, on_epoch, workers):
        self.config = config
        self.run = run
        self.images = training_images
        self.on_epoch = on_epoch
        self.steps_per_epoch = -(-len(training_images) // config.batch_size)
        self.workers = workers
        self.gan = workers.make_gan(config)
        # Of the epoch under way: a row for each step, and the time spent on training.
        self.step_metrics = tf.Variable(tf.zeros([self.steps_per_epoch, len(METRICS)]))
        self.seconds = tf.Variable(0.0, dtype=tf.float64)
        self.checkpoint = self.gan.checkpoint(step_metrics=self.step_metrics, seconds=self.seconds)
        self.quality = None
        if config.evaluate_every and workers.is_chief:
            from gan_tf.evaluation.curve import QualityCurve  # half a second, for few

            self.quality = QualityCurve(run, config)
        self.environment = environment.describe(workers.replicas)
        self.environment |= {
            "images_sha256": data.checksum(training_images),
            "real_variety": real_variety(training_images),
        }
        self.history = []

    def replace_run(self):
        """Puts a new run in the place of the one in the folder, if any; it returns on an error."""
        replaced = self.run.set_aside()
        try:
            self._begin()
        except BaseException:
            self.run.bring_back()
            raise
        self.run.drop_aside()
        if replaced:
            console.say(f"{self.run.path}: {replaced} files of the run before are removed")

    def run_to_end(self):
        """Trains from the newest checkpoint, if any, to the last epoch; returns the history."""
        with self.workers.chief_first():
            if self.workers.is_chief:
                self._begin_or_resume()
            else:
                checkpoints.restore_newest(self.checkpoint, self.run)
        self.workers.agree("the steps done", self.gan.steps_done)
        self.workers.agree_on_weights(self.gan, "at the start")
        self.workers.saved(self.gan.steps_done)
        epochs_done = self._position()[0]
        summaries = tf.summary.create_noop_writer()
        if self.workers.is_chief:
            summaries = tensorboard.make_writer(self.run.path)
        with interrupts.StopRequest() as stop, summaries.as_default():
            for epoch in range(epochs_done + 1, self.config.epochs + 1):
                self._train_epoch(epoch, stop)
                self._finish_epoch(epoch)
                self._stop_if_asked(stop)
        self.workers.leave()
        if not self.workers.is_chief:
            return []
        self._complete()
        console.say("\n".join(["made:", *(f"  {path}" for path in self.run.own_files())]))
        return self.history

    def _position(self):
        """Finished epochs, and steps into the one after them."""
        return divmod(self.gan.steps_done, self.steps_per_epoch)

    def _begin_or_resume(self):
        if checkpoints.restore_newest(self.checkpoint, self.run) is None:
            if self.run.read_history():
                raise UserError(
                    f"{self.run.checkpoints} holds no checkpoint, though {self.run.history_path}"
                    " has epochs: bring one back from a copy, or add `overwrite` to start again"
                    " from epoch 0"
                )
            self.run.prepare()
            self._begin()
        else:
            self.run.prepare()
            self._resume()
        self.run.remove_unfinished()
        epochs, steps = self._position()
        if epochs < self.config.epochs:
            begins = not (epochs or steps)
            said = f"going on after step {self.gan.steps_done}, {epochs} epochs and {steps} steps"
            if begins:
                said = f"training on {len(self.images)} images"
            console.say(f"{self.run.path}: {said}")
            if begins:  # later, another setting would change the last bits
                for hint in environment.hints(
                    self.config.precision, environment.processor_features()
                ):
                    console.say(hint)

    def _begin(self):
        self.run.prepare()
        self.run.write_config(self.config, self.environment)
        with artifacts.only_warned_of():
            artifacts.write_training_images(self.run, self.images)
        self._save()  # so that even the first save in mid-epoch has one before it

    def _resume(self):
        epochs_done, _ = self._position()
        needed = [*METRICS, "generator_loss_std", "discriminator_loss_std"]
        history = self.run.read_history(at_least=epochs_done, columns=needed)
        self.history = history[:epochs_done]  # a row is written before its checkpoint
        if self.quality:
            self.quality.resume()
        _, there = self.run.read_config()
        if changed := environment.differences(self.environment, there):
            warnings.warn(f"the last bits of the results may differ: {'; '.join(changed)}")
        self.environment = there
        self.run.write_config(self.config, there)  # it may have grown

    def _train_epoch(self, epoch, stop):
        """Runs what is left of an epoch; saves in between when it is time, or a signal came."""
        config, gan = self.config, self.gan
        _, first = self._position()
        done = first * config.batch_size
        bar = console.epoch_bar(
            epoch, config.epochs, len(self.images), done, shown=self.workers.is_chief
        )
        since = time.monotonic()  # the last save, or the beginning
        with bar:
            batches = data.batches(self.images, config.batch_size, config.seed, epoch, first)
            for step, real_images in enumerate(batches, start=first):
                noise = make_noise(len(real_images), config.latent_dim, config.seed, gan.steps_done)
                metrics = gan.train_step(real_images, noise)
                self._record(step, metrics)
                if bar.update(len(real_images)):
                    console.show_step(bar, step + 1, self.steps_per_epoch, metrics)
                overdue = time.monotonic() - since > CHECKPOINT_SECONDS
                stopping, due = self.workers.any(stop.received is not None, overdue)
                if (stopping or due) and step + 1 < self.steps_per_epoch:
                    self.seconds.assign_add(time.monotonic() - since)
                    self._save()
                    if stopping and self.workers.is_chief:
                        console.say(f"saved after step {gan.steps_done}: the same command goes on")
                    self._stop_if_asked(stop)
                    since = time.monotonic()
            self.seconds.assign_add(time.monotonic() - since)

    def _stop_if_asked(self, stop):
        stopping, _ = self.workers.any(stop.received is not None, False)
        if stopping:
            self.workers.leave()
            stop.received = stop.received or signal.SIGTERM  # another worker has received it
            stop.obey()

    def _record(self, step, metrics):
        """Keeps a step's metrics, if all of them are finite."""
        values = np.array([metrics[name] for name in METRICS], np.float32)
        if not np.isfinite(values).all():
            column = np.argmin(np.isfinite(values))
            epoch = (self.gan.steps_done - 1) // self.steps_per_epoch + 1
            raise RunFailed(
                f"{METRICS[column]} is {values[column]} at step {self.gan.steps_done}, in epoch"
                f" {epoch}: start again in another `run_dir` with a lower `learning_rate`"
                f" (the last finite state is in {self.run.checkpoints})"
            )
        self.step_metrics[step].assign(values)

    def _finish_epoch(self, epoch):
        """Writes what an epoch leaves behind; the checkpoint last, as a sign that all is there."""
        self.workers.agree_on_weights(self.gan, f"after epoch {epoch}")
        row = self._history_row(epoch)
        scores = self._write_epoch(epoch, row) if self.workers.is_chief else {}
        self.step_metrics.assign(tf.zeros_like(self.step_metrics))
        self.seconds.assign(0.0)
        self._save()
        if self.workers.is_chief:
            console.print_epoch(row | scores, self.config.epochs)
            if self.on_epoch:
                self.on_epoch(dict(row))  # its own, to change as it likes

    def _write_epoch(self, epoch, row):
        grid = self._write_samples(epoch)
        snapshot = self._snapshot(epoch)
        row["variety"] = generator_variety(snapshot)
        kept = epoch in self.config.snapshot_epochs or epoch == self.config.epochs
        if kept:
            self._save_snapshot(epoch)
        self.history.append(row)
        self.run.write_history(self.history)
        scores = {}
        if self.quality and epoch % self.config.evaluate_every == 0:
            scores = self.quality.add(snapshot, self._save_snapshot)
        tensorboard.write_epoch(self.run.path, row | scores, grid)
        with artifacts.only_warned_of():
            artifacts.write_loss_curves(self.run, self.config.snapshot_epochs)
            if kept:
                artifacts.write_epochs(self.run, self._shown_epochs())
        return scores

    def _complete(self):
        """Makes what a finished run shows, where it is missing."""
        epoch = self.config.epochs
        if epoch not in self.run.sample_paths():
            self._write_samples(epoch)
        if epoch not in self.run.snapshot_epochs():
            self._save_snapshot(epoch)
        with artifacts.only_warned_of():
            artifacts.write_loss_curves(self.run, self.config.snapshot_epochs)
            artifacts.write_epochs(self.run, self._shown_epochs())
            artifacts.write_gif(self.run)
        with artifacts.only_warned_of():
            self.run.check_held()
            write_report(self.run.path)

    def _snapshot(self, epoch):
        """What is drawn from after an epoch: the average of the generator, if there is one."""
        shown = self.gan.averaged_generator or self.gan.generator
        origin = f"epoch {epoch}"
        return Snapshot(shown, self.gan.fixed_noise, self.config, self.environment, epoch, origin)

    def _write_samples(self, epoch):
        samples = self._snapshot(epoch).sample_training_noise()
        return artifacts.write_samples(self.run, epoch, samples)

    def _save_snapshot(self, epoch):
        checkpoints.save_snapshot(self.run, epoch, self.gan.generators, self.gan.fixed_noise)

    def _shown_epochs(self):
        return {*self.config.snapshot_epochs, self.config.epochs}

    def _history_row(self, epoch):
        metrics = self.step_metrics.numpy().astype(np.float64)
        batch_sizes = np.full(len(metrics), self.config.batch_size)
        batch_sizes[-1] = len(self.images) - batch_sizes[:-1].sum()
        means = np.average(metrics, axis=0, weights=batch_sizes)
        variances = np.average((metrics - means) ** 2, axis=0, weights=batch_sizes)
        means = dict(zip(METRICS, means.tolist()))
        deviations = dict(zip(METRICS, np.sqrt(variances).tolist()))
        seconds = float(self.seconds)
        return {
            "epoch": epoch,
            "step": self.gan.steps_done,
            **means,
            "generator_loss_std": deviations["generator_loss"],
            "discriminator_loss_std": deviations["discriminator_loss"],
            "seconds": seconds,
            "images_per_second": len(self.images) / seconds,
        }

    def _save(self):
        if self.workers.is_chief:
            if not self.run.config_path.exists():  # without it, no checkpoint could be read again
                self.run.write_config(self.config, self.environment)
            checkpoints.save(self.checkpoint, self.run, self.gan.steps_done)
        self.workers.saved(self.gan.steps_done)
