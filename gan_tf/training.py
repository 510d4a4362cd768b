"""The training of the two networks: one step, and the loop around it."""

import time
import warnings

import numpy as np
import tensorflow as tf

from gan_tf import board, checkpoints, data, environment, files, interrupts, progress
from gan_tf.config import TrainConfig
from gan_tf.errors import RunFailed, UserError
from gan_tf.losses import discriminator_loss, generator_loss
from gan_tf.models import make_discriminator, make_generator
from gan_tf.rundir import RunDir
from gan_tf.sampling import generate, make_fixed_noise, make_noise

CHECKPOINT_SECONDS = 180  # how much of a long epoch a killed run may lose
_DISPLAY_SECONDS = 0.5
METRICS = (
    "generator_loss",
    "discriminator_loss",
    "real_probability",
    "fake_probability",
    "real_accuracy",
    "fake_accuracy",
    "generator_gradient_norm",
    "discriminator_gradient_norm",
)


def make_train_step():
    """Returns a training step, a fresh `tf.function` that serves one pair of networks.

    Both gradients are taken at the same point, before either network moves: this is *simultaneous*
    gradient descent/ascent, as in TensorFlow's tutorial; Goodfellow et al. 2014 alternate.

    The step is called as `train_step(generator, discriminator, generator_optimizer,
    discriminator_optimizer, real_images, noise)` with

      real_images: `[batch, 28, 28, 1]` float32 in [-1, 1].
      noise: `[batch, latent_dim]` float32, unit Gaussian.

    and returns a dict of float32 scalars, one for each name in `METRICS`: losses in nats, means
    over the batch; D(x) and D(G(z)) as mean probabilities; the discriminator's accuracies; the
    Euclidean norms of both gradients.
    """

    @tf.function
    def train_step(
        generator,
        discriminator,
        generator_optimizer,
        discriminator_optimizer,
        real_images,
        noise,
    ):
        with tf.GradientTape() as generator_tape, tf.GradientTape() as discriminator_tape:
            fake_images = generator(noise, training=True)  # [batch, 28, 28, 1]
            real_logits = discriminator(real_images, training=True)  # [batch, 1]
            fake_logits = discriminator(fake_images, training=True)
            loss_of_generator = generator_loss(fake_logits)
            loss_of_discriminator = discriminator_loss(real_logits, fake_logits)

        generator_gradients = generator_tape.gradient(
            loss_of_generator, generator.trainable_variables
        )
        discriminator_gradients = discriminator_tape.gradient(
            loss_of_discriminator, discriminator.trainable_variables
        )
        generator_optimizer.apply(generator_gradients, generator.trainable_variables)
        discriminator_optimizer.apply(discriminator_gradients, discriminator.trainable_variables)

        return {
            "generator_loss": loss_of_generator,
            "discriminator_loss": loss_of_discriminator,
            "real_probability": tf.reduce_mean(tf.sigmoid(real_logits)),
            "fake_probability": tf.reduce_mean(tf.sigmoid(fake_logits)),
            "real_accuracy": tf.reduce_mean(tf.cast(real_logits > 0, tf.float32)),
            "fake_accuracy": tf.reduce_mean(tf.cast(fake_logits < 0, tf.float32)),
            "generator_gradient_norm": tf.linalg.global_norm(generator_gradients),
            "discriminator_gradient_norm": tf.linalg.global_norm(discriminator_gradients),
        }

    return train_step


def train(config: TrainConfig, overwrite: bool = False) -> list[dict]:
    """Trains a DCGAN, or goes on with the run in `config.run_dir` where it stopped.

    Seeds Keras's, NumPy's and Python's global random state. Ctrl-C and SIGTERM save before they
    end the run; a second one ends it at once.

    Args:
      config: the choices of the run.
      overwrite: remove the run that is in the folder, and start again from epoch 0.

    Returns:
      The rows of history.csv, one dict per epoch.

    Raises:
      UserError: the run folder, the data or the settings do not fit; nothing was changed.
      RunFailed: a loss or a gradient is no longer finite, or the disk is full; what was saved
        before is kept.
      KeyboardInterrupt: after Ctrl-C; SystemExit(143) after SIGTERM.
    """
    run = RunDir(config.run_dir)
    with run.locked():
        if not overwrite:
            run.check(config)
        training_images = data.load_images(config)
        if config.batch_size > len(training_images):
            raise UserError(
                f"--batch-size {config.batch_size} is larger than the data set:"
                f" {len(training_images)} images"
            )
        if overwrite:
            run.clear()
        return _Training(config, run, training_images).run_to_end()


class _Training:
    """The state of one training run in memory, and the loop over it."""

    def __init__(self, config, run, training_images):
        self.config = config
        self.run = run
        self.images = training_images
        self.steps_per_epoch = -(-len(training_images) // config.batch_size)

        tf.keras.utils.set_random_seed(config.seed)  # initial weights, Dropout's seeds
        self.generator = make_generator(config.latent_dim, config.fast, config.precision)
        self.discriminator = make_discriminator(config.fast, config.precision)
        self.generator_optimizer = tf.keras.optimizers.Adam(config.learning_rate)
        self.discriminator_optimizer = tf.keras.optimizers.Adam(config.learning_rate)
        self.fixed_noise = make_fixed_noise(config.latent_dim, config.seed)
        self.train_step = make_train_step()

        self.step = 0
        self.step_metrics = []  # of the epoch under way: a list of METRICS for each step
        self.seconds = 0.0  # of training in the epoch under way
        # The same three in the form in which a checkpoint holds them.
        self.saved_step = tf.Variable(0, dtype=tf.int64)
        self.saved_metrics = tf.Variable(tf.zeros([self.steps_per_epoch, len(METRICS)]))
        self.saved_seconds = tf.Variable(0.0, dtype=tf.float64)
        self.checkpoint = checkpoints.training_checkpoint(
            self.generator,
            self.discriminator,
            self.generator_optimizer,
            self.discriminator_optimizer,
            fixed_noise=self.fixed_noise,
            step=self.saved_step,
            step_metrics=self.saved_metrics,
            seconds=self.saved_seconds,
        )

    def run_to_end(self):
        """Trains from the newest checkpoint, if any, to the last epoch; returns the history."""
        self._begin_or_resume()
        epochs_done = self.step // self.steps_per_epoch
        if epochs_done >= self.config.epochs:
            progress.say(
                f"{self.run.path} is finished: {epochs_done} epochs; for more raise --epochs"
            )
            return self.history
        summaries = board.make_writer(self.run.path)
        with interrupts.StopRequest() as stop, summaries.as_default():
            for epoch in range(epochs_done + 1, self.config.epochs + 1):
                self._train_epoch(epoch, stop)
                self._finish_epoch(epoch)
                stop.obey()
        progress.say("\n".join(["made:", *(f"  {path}" for path in self.run.contents())]))
        return self.history

    def _begin_or_resume(self):
        here = environment.describe()
        found = checkpoints.restore_newest(self.checkpoint, self.run.checkpoints)
        epochs_done, steps_into_epoch = divmod(found or 0, self.steps_per_epoch)
        self.history = self.run.read_history(at_least=epochs_done)
        if found is None and self.history:
            raise UserError(
                f"{self.run.checkpoints} holds no checkpoint, though {len(self.history)} epochs are"
                " done: bring one back from a copy, or add --overwrite to start again from epoch 0"
            )
        self.history = self.history[:epochs_done]  # a row is written before its checkpoint
        files.remove_unfinished(self.run.path)
        checkpoints.remove_unfinished(self.run.checkpoints)
        checkpoints.remove_unfinished(self.run.snapshots)
        if found is None:
            self.run.write_config(self.config, here)
            self._save()  # so that even the first save in mid-epoch has one before it
            progress.say(f"{self.run.path}: training on {len(self.images)} images")
            return
        self.step = int(self.saved_step)
        self.step_metrics = list(self.saved_metrics.numpy()[:steps_into_epoch])
        self.seconds = float(self.saved_seconds)
        begun, there = self.run.read_config()
        if self.config.epochs > begun.epochs:
            self.run.write_config(self.config, there)
        changed = [
            f"{name} is {here[name]}, was {there.get(name)}"
            for name in environment.DECIDING
            if here[name] != there.get(name)
        ]
        if changed:
            warnings.warn(f"the last bits of the results may differ: {'; '.join(changed)}")
        if epochs_done < self.config.epochs:
            progress.say(
                f"{self.run.path}: going on after step {self.step},"
                f" {epochs_done} epochs and {steps_into_epoch} steps"
            )

    def _train_epoch(self, epoch, stop):
        """Runs what is left of an epoch; saves in between when it is time, or a signal came."""
        first = len(self.step_metrics)
        size = self.config.batch_size
        bar = progress.epoch_bar(epoch, self.config.epochs, len(self.images), first * size)
        before = shown = saved = time.monotonic()
        with bar:
            for real_images in data.batches(self.images, size, self.config.seed, epoch, first):
                metrics = self.train_step(
                    self.generator,
                    self.discriminator,
                    self.generator_optimizer,
                    self.discriminator_optimizer,
                    tf.constant(real_images),
                    make_noise(
                        len(real_images), self.config.latent_dim, self.config.seed, self.step
                    ),
                )
                self.step += 1
                self.step_metrics.append([metrics[name] for name in METRICS])
                bar.update(len(real_images))
                now = time.monotonic()
                if now - shown > _DISPLAY_SECONDS:  # seldom, as it waits for the step to end
                    shown = now
                    self._check_finite(self.step_metrics[-1:])
                    progress.show_step(bar, len(self.step_metrics), self.steps_per_epoch, metrics)
                    now = time.monotonic()
                self.seconds += now - before
                due = stop.received or now - saved > CHECKPOINT_SECONDS
                if due and len(self.step_metrics) < self.steps_per_epoch:
                    self._save()
                    if stop.received:
                        progress.say(f"saved after step {self.step}: the same command goes on")
                    stop.obey()
                    saved = now = time.monotonic()
                before = now

    def _finish_epoch(self, epoch):
        """Writes what an epoch leaves behind; the checkpoint last, as a sign that all is there."""
        row = self._history_row(epoch)
        samples = generate(self.generator, self.fixed_noise)
        grid = self.run.write_samples(epoch, samples)
        if epoch in self.config.snapshot_epochs or epoch == self.config.epochs:
            path = self.run.snapshot_path(epoch)
            checkpoints.save_snapshot(path, self.generator, self.fixed_noise)
        self.history.append(row)
        self.run.write_history(self.history)
        board.write_epoch(self.run.path, row, grid)
        if epoch == self.config.epochs:
            self.run.write_loss_curves(self.config.snapshot_epochs)
            self.run.write_gif()
        self.step_metrics = []
        self.seconds = 0.0
        self._save()
        progress.print_epoch(row, self.config.epochs)

    def _history_row(self, epoch):
        metrics = self._check_finite(self.step_metrics).astype(np.float64)
        batch_sizes = np.full(len(metrics), self.config.batch_size)
        batch_sizes[-1] = len(self.images) - batch_sizes[:-1].sum()
        means = np.average(metrics, axis=0, weights=batch_sizes)
        variances = np.average((metrics - means) ** 2, axis=0, weights=batch_sizes)
        means = dict(zip(METRICS, means.tolist()))
        deviations = dict(zip(METRICS, np.sqrt(variances).tolist()))
        return {
            "epoch": epoch,
            "step": self.step,
            **means,
            "generator_loss_std": deviations["generator_loss"],
            "discriminator_loss_std": deviations["discriminator_loss"],
            "seconds": self.seconds,
            "images_per_second": len(self.images) / self.seconds,
        }

    def _check_finite(self, step_metrics):
        """Returns metrics of the latest steps as `[steps, METRICS]` float32, if all are finite."""
        metrics = np.array(step_metrics, np.float32).reshape(-1, len(METRICS))
        if not np.isfinite(metrics).all():
            metrics = np.array(self.step_metrics, np.float32)
            first, column = np.argwhere(~np.isfinite(metrics))[0]
            step = self.step - len(metrics) + first + 1
            epoch = (step - 1) // self.steps_per_epoch + 1
            raise RunFailed(
                f"{METRICS[column]} is {metrics[first, column]} at step {step}, in epoch {epoch}:"
                " start again in another --run-dir with a lower --learning-rate"
                f" (the last finite state is in {self.run.checkpoints})"
            )
        return metrics

    def _save(self):
        metrics = self._check_finite(self.step_metrics)
        padding = [[0, self.steps_per_epoch - len(metrics)], [0, 0]]
        self.saved_step.assign(self.step)
        self.saved_metrics.assign(np.pad(metrics, padding))
        self.saved_seconds.assign(self.seconds)
        checkpoints.save(self.checkpoint, self.run.checkpoints, self.step)
