"""The record of a run: what it writes after each step, after each epoch, and at its end."""

import contextlib
import signal
import time
import warnings

import numpy as np
import tensorflow as tf

from gan_tf import data
from gan_tf.evaluation.variety import generator_variety, real_variety
from gan_tf.gan import METRICS
from gan_tf.report import write_report
from gan_tf.run import artifacts, checkpoints, tensorboard
from gan_tf.snapshots import Snapshot
from gan_tf.system import console, environment
from gan_tf.system.errors import UserError

CHECKPOINT_SECONDS = 180  # training time that a killed run may lose within a long epoch


@contextlib.contextmanager
def open_record(run, config, overwrite, on_epoch, workers):
    """Locks the folder of a run while a `with` block trains, and yields the run's record.

    Args:
      run: the `RunDir`.
      config: the `TrainConfig`.
      overwrite: whether a new run replaces the one in the folder.
      on_epoch: None, or called after each epoch with a copy of its row of history.csv.
      workers: from `distribution.start`; only the chief writes.

    Raises:
      UserError: the folder is in use, or its content does not fit the config.
    """
    if not workers.is_chief:
        workers.meet()  # until the chief has its images, which it may have to prepare
        yield SilentRecord(run, config, workers)
        return
    with run.locked():
        run.settle()
        if overwrite:
            run.check_replaceable()
        else:
            run.check(config)
        record = Record(run, config, workers, overwrite, on_epoch)
        try:
            yield record
        finally:
            record.close_bar()


class SilentRecord:
    """The record of a worker that is not the chief: it writes nothing and keeps in step with it."""

    def __init__(self, run, config, workers):
        self.run = run
        self.config = config
        self.workers = workers

    def check_images(self, images):
        """Refuses training images that differ from those of the other workers."""
        self.images_sha256 = data.checksum(images)
        self.workers.agree({"the SHA-256 of the training images": self.images_sha256})

    def begin_or_resume(self, gan, steps_per_epoch):
        """Restores the newest checkpoint; in a new run the chief has just written the first one."""
        self._prepare(gan, steps_per_epoch)
        self.workers.meet()
        checkpoints.restore_newest(self.checkpoint, self.run)
        self.workers.agree_on_weights(self.gan, "at the start")

    def after_step(self, metrics, stop_request):
        """Stops if any worker was asked to, except after the last step of an epoch."""
        if self._any_asked(stop_request) and not self._epoch_is_over():
            self._stop(stop_request)

    def after_epoch(self, epoch, stop_request):
        """Checks that the workers' networks are equal, and stops if any worker was asked to."""
        self.workers.agree_on_weights(self.gan, f"after epoch {epoch}")
        if self._any_asked(stop_request):
            self._stop(stop_request)

    def at_end(self) -> list[dict]:
        """Returns no rows, as only the chief has them."""
        return []

    def _prepare(self, gan, steps_per_epoch):
        self.gan = gan
        self.steps_per_epoch = steps_per_epoch
        # Of the current epoch: a row of metrics for each step, and the training time so far.
        self.step_metrics = tf.Variable(tf.zeros([self.steps_per_epoch, len(METRICS)]))
        self.seconds = tf.Variable(0.0, dtype=tf.float64)
        self.checkpoint = gan.checkpoint(step_metrics=self.step_metrics, seconds=self.seconds)

    def _epoch_is_over(self):
        return self.gan.steps_done % self.steps_per_epoch == 0

    def _any_asked(self, stop_request):
        return self.workers.any(stop_request.received is not None)

    def _stop(self, stop_request):
        stop_request.received = stop_request.received or signal.SIGTERM  # of another worker
        stop_request.obey()


class Record(SilentRecord):
    """The record that writes the run's folder and reports progress.

    Attributes:
      history: the rows of history.csv.
    """

    def __init__(self, run, config, workers, overwrite, on_epoch):
        super().__init__(run, config, workers)
        self.overwrite = overwrite
        self.on_epoch = on_epoch
        self.history = []
        self.quality = None
        self.bar = None

    def check_images(self, images):
        """Refuses training images that differ from those that the run was started with."""
        self.workers.meet()
        super().check_images(images)
        self.images = images
        if not self.overwrite and self.run.config_path.exists():
            recorded_config, recorded_environment = self.run.read_config()
            recorded_sha256 = recorded_environment.get("images_sha256")
            # The oldest runs did not record it.
            by_name = self.config.dataset == recorded_config.dataset
            same = by_name if recorded_sha256 is None else self.images_sha256 == recorded_sha256
            if not same:
                raise UserError(
                    f"the images of `dataset` {self.config.dataset} are not those that the run in"
                    f" {self.run.path} was started with: restore them, or choose another `run_dir`"
                )

    def begin_or_resume(self, gan, steps_per_epoch):
        """Restores the newest checkpoint, or writes the first one of a new run."""
        if self.config.evaluate_every:
            from gan_tf.evaluation.curve import QualityCurve  # half a second, for few runs

            self.quality = QualityCurve(self.run, self.config)
        self._prepare(gan, steps_per_epoch)
        self.environment = environment.describe(self.workers.replicas)
        self.environment |= {
            "images_sha256": self.images_sha256,
            "real_variety": real_variety(self.images),
        }
        if self.overwrite and self.run.config_path.exists():
            self._replace_run()
        elif checkpoints.restore_newest(self.checkpoint, self.run) is not None:
            self._resume()
        elif self.run.read_history():
            raise UserError(
                f"{self.run.checkpoints} holds no checkpoint, though {self.run.history_path}"
                " has epochs: restore one from a backup, or add `overwrite` to start again"
                " from epoch 0"
            )
        else:
            self._begin()
        self.run.remove_unfinished()
        if not self.run.training_images_path.exists():
            with artifacts.only_warned_of():
                artifacts.write_training_images(self.run, self.images)
        self.workers.meet()
        self.workers.agree_on_weights(self.gan, "at the start")
        self.summaries = tensorboard.make_writer(self.run.path)
        self._announce()
        self._start_epoch()

    def after_step(self, metrics, stop_request):
        """Records the metrics of a step; saves in mid-epoch if that is due or a signal came."""
        step = (self.gan.steps_done - 1) % self.steps_per_epoch
        values = np.array([metrics[name] for name in METRICS], np.float32)
        self.step_metrics[step].assign(values)
        if self.bar.update(min(self.config.batch_size, self.bar.total - self.bar.n)):
            console.show_step(self.bar, step + 1, self.steps_per_epoch, metrics)
        stopping = self._any_asked(stop_request)
        overdue = time.monotonic() - self.last_save_time > CHECKPOINT_SECONDS
        if (stopping or overdue) and not self._epoch_is_over():
            self._count_seconds()
            self._save()
            if stopping:
                console.say(f"saved: the run resumes from step {self.gan.steps_done}")
                self._stop(stop_request)

    def after_epoch(self, epoch, stop_request):
        """Writes the results of an epoch; the checkpoint last, as a sign that they are complete."""
        self._count_seconds()
        self.close_bar()
        self.workers.agree_on_weights(self.gan, f"after epoch {epoch}")
        row = self._history_row(epoch)
        scores = self._write_epoch(epoch, row)
        self.step_metrics.assign(tf.zeros_like(self.step_metrics))
        self.seconds.assign(0.0)
        self._save()
        console.print_epoch(row | scores, self.config.epochs)
        if self.on_epoch:
            self.on_epoch(dict(row))  # a copy, which the function may change
        if self._any_asked(stop_request):
            self._stop(stop_request)
        self._start_epoch()

    def at_end(self) -> list[dict]:
        """Makes the missing results of a finished run, and returns the rows of history.csv."""
        epoch = self.config.epochs
        if epoch not in self.run.sample_paths():
            artifacts.write_samples(self.run, epoch, self._snapshot(epoch).sample_training_noise())
        if epoch not in self.run.snapshot_epochs():
            self._save_snapshot(epoch)
        with artifacts.only_warned_of():
            artifacts.write_loss_curves(self.run, self.config.snapshot_epochs)
            artifacts.write_epochs(self.run, self._shown_epochs())
            artifacts.write_gif(self.run)
        with artifacts.only_warned_of():
            self.run.check_held()
            write_report(self.run.path)
        console.say(f"{self.run.path} is complete:")
        for path in (self.run.report_path, self.run.gif_path):
            if path.exists():
                console.say(f"  {path}")
        return self.history

    def close_bar(self):
        if self.bar:
            self.bar.close()

    def _replace_run(self):
        """Starts a new run in place of the one in the folder, which stays whole until then."""
        self.run.prepare()
        try:
            checkpoints.write(self.checkpoint, self.run, self.run.new_checkpoint_path)
            self.run.write_config(self.config, self.environment, self.run.new_config_path)
        except BaseException:
            self.run.remove_unfinished()
            raise
        console.say(f"{self.run.path}: {self.run.replace()} files of the old run are removed")

    def _begin(self):
        self.run.prepare()
        self.run.write_config(self.config, self.environment)
        self._save()  # so that a checkpoint precedes even the first one in mid-epoch

    def _resume(self):
        self.run.prepare()
        epochs_done = self.gan.steps_done // self.steps_per_epoch
        needed = [*METRICS, "generator_loss_std", "discriminator_loss_std"]
        history = self.run.read_history(at_least=epochs_done, columns=needed)
        self.history = history[:epochs_done]  # a row is written before its checkpoint
        if self.quality:
            self.quality.resume()
        _, recorded_environment = self.run.read_config()
        if changed := environment.differences(self.environment, recorded_environment):
            warnings.warn(f"the last bits of the results may differ: {'; '.join(changed)}")
        self.environment = recorded_environment
        self.run.write_config(self.config, self.environment)  # with more epochs, perhaps

    def _announce(self):
        step, epoch = self.gan.steps_done, self.gan.steps_done // self.steps_per_epoch + 1
        if step == 0:
            console.say(f"{self.run.path}: training on {len(self.images)} images")
            # Only for a new run: another setting would change the last bits of one that resumes.
            for hint in environment.hints(self.config.precision, environment.processor_features()):
                console.say(hint)
        elif epoch <= self.config.epochs:
            console.say(f"{self.run.path}: resuming after step {step}, in epoch {epoch}")

    def _start_epoch(self):
        self.last_save_time = time.monotonic()  # or the start of the epoch
        epochs, steps = divmod(self.gan.steps_done, self.steps_per_epoch)
        if epochs < self.config.epochs:
            done = steps * self.config.batch_size
            self.bar = console.epoch_bar(epochs + 1, self.config.epochs, len(self.images), done)

    def _count_seconds(self):
        self.seconds.assign_add(time.monotonic() - self.last_save_time)

    def _save(self):
        if not self.run.config_path.exists():  # without it, the checkpoint could not be used
            self.run.write_config(self.config, self.environment)
        checkpoints.save(self.checkpoint, self.run, self.gan.steps_done)
        self.last_save_time = time.monotonic()

    def _write_epoch(self, epoch, row):
        """Writes the files of an epoch, adds the variety to its row, and returns its scores."""
        snapshot = self._snapshot(epoch)
        grid = artifacts.write_samples(self.run, epoch, snapshot.sample_training_noise())
        row["variety"] = generator_variety(snapshot)
        is_shown = epoch in self._shown_epochs()
        if is_shown:
            self._save_snapshot(epoch)
        self.history.append(row)
        self.run.write_history(self.history)
        scores = {}
        if self.quality and epoch % self.config.evaluate_every == 0:
            scores = self.quality.add(snapshot, self._save_snapshot)
        with self.summaries.as_default():
            tensorboard.write_epoch(self.run.path, row | scores, grid)
        with artifacts.only_warned_of():
            artifacts.write_loss_curves(self.run, self.config.snapshot_epochs)
            if is_shown:
                artifacts.write_epochs(self.run, self._shown_epochs())
        return scores

    def _snapshot(self, epoch):
        """Returns the generator to sample from after an epoch: its average, if there is one."""
        generator, noise = self.gan.averaged_generator or self.gan.generator, self.gan.fixed_noise
        return Snapshot(generator, noise, self.config, self.environment, epoch, f"epoch {epoch}")

    def _save_snapshot(self, epoch):
        checkpoints.save_snapshot(self.run, epoch, self.gan.generators, self.gan.fixed_noise)

    def _shown_epochs(self):
        return {*self.config.snapshot_epochs, self.config.epochs}

    def _history_row(self, epoch):
        """Returns means of the metrics over the images, and standard deviations of the losses."""
        metrics = self.step_metrics.numpy().astype(np.float64)
        batch_sizes = np.full(len(metrics), self.config.batch_size)
        batch_sizes[-1] = len(self.images) - batch_sizes[:-1].sum()
        means = np.average(metrics, axis=0, weights=batch_sizes)
        variances = np.average((metrics - means) ** 2, axis=0, weights=batch_sizes)
        deviations = dict(zip(METRICS, np.sqrt(variances).tolist()))
        seconds = float(self.seconds)
        return {
            "epoch": epoch,
            "step": self.gan.steps_done,
            **dict(zip(METRICS, means.tolist())),
            "generator_loss_std": deviations["generator_loss"],
            "discriminator_loss_std": deviations["discriminator_loss"],
            "seconds": seconds,
            "images_per_second": len(self.images) / seconds,
        }
