"""Both networks with their optimizers, and one move of the game that they play."""

import threading

import tensorflow as tf

from gan_tf.config import TrainConfig
from gan_tf.losses import discriminator_loss, generator_loss
from gan_tf.models import make_discriminator, make_generator
from gan_tf.noise import make_fixed_noise
from gan_tf.system import environment

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
_seeding = threading.Lock()  # Keras draws initial weights from one global random state


class Gan:
    """A generator, a discriminator, and what it takes to train them.

    Seeds Keras's, NumPy's and Python's global random state with the seed of the run.

    Args:
      config: all that concerns networks, losses and optimizers.

    Raises:
      UserError: Keras is set up otherwise than the networks need it.
    """

    def __init__(self, config: TrainConfig):
        environment.require_keras()
        self.config = config
        networks = (config.fast, config.precision)
        self.averaged_generator = None
        with _seeding:
            tf.keras.utils.set_random_seed(config.seed)  # initial weights, Dropout's seeds
            self.generator = make_generator(config.latent_dim, *networks)
            self.discriminator = make_discriminator(*networks)
            if config.ema_decay:
                self.averaged_generator = make_generator(config.latent_dim, *networks)
                self.averaged_generator.set_weights(self.generator.get_weights())
        rate = config.learning_rate
        self.generator_optimizer = tf.keras.optimizers.Adam(rate, beta_1=config.beta_1)
        rate = config.discriminator_learning_rate or rate
        self.discriminator_optimizer = tf.keras.optimizers.Adam(rate, beta_1=config.beta_1)
        # Only a built optimizer has the variables that a checkpoint is restored into.
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        self.fixed_noise = make_fixed_noise(config.latent_dim, config.seed)
        self.step = tf.Variable(0, dtype=tf.int64, name="step")  # moves made
        # Where a batch is shared among several processes, distribution.py puts its own here.
        self.mean = tf.reduce_mean  # of one number per image, over the batch
        self.total = lambda tensors: tensors  # each added up over all shares of the batch

    @tf.function
    def train_step(self, real_images, noise) -> dict:
        """Makes one move of both players.

        By default both gradients are taken at the same point, before either network moves: this is
        *simultaneous* gradient descent/ascent, as in TensorFlow's tutorial. With `update` set to
        "alternating" the discriminator moves first, as in Goodfellow et al. 2014, and the generator
        descends against the discriminator that it now faces.

        Args:
          real_images: `[batch, 28, 28, 1]` float32 in [-1, 1].
          noise: `[batch, latent_dim]` float32, unit Gaussian.

        Returns:
          A dict of float32 scalars, one for each name in `METRICS`: losses in nats, means over the
          batch; D(x) and D(G(z)) as mean probabilities; the discriminator's accuracies; the
          Euclidean norms of both gradients. All are taken where the gradients are; alternating,
          those of the discriminator before its move, and the generator's loss after it.
        """
        metrics = self.move(real_images, noise)
        self.count_move()
        return metrics

    def move(self, real_images, noise) -> dict:
        """Moves both networks; the first half of `train_step`."""
        if self.config.update == "alternating":
            return self._move_in_turn(real_images, noise)
        return self._move_at_once(real_images, noise)

    def count_move(self):
        """Counts the move and lets the average follow; the second half of `train_step`."""
        self.step.assign_add(1)
        if self.averaged_generator:
            self._update_average()

    def _move_at_once(self, real_images, noise):
        with tf.GradientTape() as generator_tape, tf.GradientTape() as discriminator_tape:
            fake_images = self.generator(noise, training=True)  # [batch, 28, 28, 1]
            real_logits = self.discriminator(real_images, training=True)  # [batch, 1]
            fake_logits = self.discriminator(fake_images, training=True)
            loss_of_generator = generator_loss(fake_logits, self.mean)
            loss_of_discriminator = discriminator_loss(real_logits, fake_logits, self.mean)

        generator_gradients = self.total(
            generator_tape.gradient(loss_of_generator, self.generator.trainable_variables)
        )
        discriminator_gradients = self.total(
            discriminator_tape.gradient(
                loss_of_discriminator, self.discriminator.trainable_variables
            )
        )
        self.generator_optimizer.apply(generator_gradients, self.generator.trainable_variables)
        self.discriminator_optimizer.apply(
            discriminator_gradients, self.discriminator.trainable_variables
        )
        losses = loss_of_generator, loss_of_discriminator
        gradients = generator_gradients, discriminator_gradients
        return self._metrics(losses, real_logits, fake_logits, gradients)

    def _move_in_turn(self, real_images, noise):
        generator_tape, discriminator_tape = tf.GradientTape(), tf.GradientTape()
        with generator_tape:
            fake_images = self.generator(noise, training=True)  # [batch, 28, 28, 1]
        with discriminator_tape:
            real_logits = self.discriminator(real_images, training=True)  # [batch, 1]
            fake_logits = self.discriminator(fake_images, training=True)
            loss_of_discriminator = discriminator_loss(real_logits, fake_logits, self.mean)
        discriminator_gradients = self.total(
            discriminator_tape.gradient(
                loss_of_discriminator, self.discriminator.trainable_variables
            )
        )
        self.discriminator_optimizer.apply(
            discriminator_gradients, self.discriminator.trainable_variables
        )
        with generator_tape:  # goes on recording
            next_logits = self.discriminator(fake_images, training=True)  # after its move
            loss_of_generator = generator_loss(next_logits, self.mean)
        generator_gradients = self.total(
            generator_tape.gradient(loss_of_generator, self.generator.trainable_variables)
        )
        self.generator_optimizer.apply(generator_gradients, self.generator.trainable_variables)
        losses = loss_of_generator, loss_of_discriminator
        gradients = generator_gradients, discriminator_gradients
        return self._metrics(losses, real_logits, fake_logits, gradients)

    def _metrics(self, losses, real_logits, fake_logits, gradients):
        means = {
            "generator_loss": losses[0],
            "discriminator_loss": losses[1],
            "real_probability": self.mean(tf.sigmoid(real_logits)),
            "fake_probability": self.mean(tf.sigmoid(fake_logits)),
            "real_accuracy": self.mean(tf.cast(real_logits > 0, tf.float32)),
            "fake_accuracy": self.mean(tf.cast(fake_logits < 0, tf.float32)),
        }
        return self.total(means) | {
            "generator_gradient_norm": tf.linalg.global_norm(gradients[0]),
            "discriminator_gradient_norm": tf.linalg.global_norm(gradients[1]),
        }

    def _update_average(self):
        """Moves the averaged generator towards the generator, BatchNorm's statistics too.

        In early steps the average is over fewer of them: it would else be mostly the random
        weights of the beginning. Source: Yazici et al. 2019; the ramp is that of TensorFlow's
        `ExponentialMovingAverage(num_updates)`.
        """
        moves = tf.cast(self.step, tf.float32)
        decay = tf.minimum(self.config.ema_decay, (1.0 + moves) / (10.0 + moves))
        for average, weight in zip(self.averaged_generator.weights, self.generator.weights):
            average.assign_sub((1.0 - decay) * (average - weight))

    @property
    def steps_done(self) -> int:
        """How many moves were made, those before a restored checkpoint included."""
        return int(self.step.numpy())

    @property
    def generators(self) -> dict:
        """The generators by the names that they have in checkpoints and snapshots."""
        generators = {"generator": self.generator}
        if self.averaged_generator:
            generators["averaged_generator"] = self.averaged_generator
        return generators

    def checkpoint(self, **variables) -> tf.train.Checkpoint:
        """Gathers the whole state of a training run, ready to be saved or restored.

        The Dropout layers' seeds are added by hand: Keras keeps them where `tf.train.Checkpoint`
        does not look.

        Args:
          **variables: further `tf.Variable`s.
        """
        seeds = [
            layer.seed_generator.state.value
            for model in (self.generator, self.discriminator)
            for layer in model.layers
            if hasattr(layer, "seed_generator")
        ]
        return tf.train.Checkpoint(
            **self.generators,
            discriminator=self.discriminator,
            generator_optimizer=self.generator_optimizer,
            discriminator_optimizer=self.discriminator_optimizer,
            dropout_seeds=seeds,
            fixed_noise=self.fixed_noise,
            step=self.step,
            **variables,
        )
