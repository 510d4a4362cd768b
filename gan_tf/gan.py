"""Both networks with their optimizers, and one step of the game that they play."""

import threading

import tensorflow as tf

from gan_tf import fast_layers
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
        self.config = config
        with _seeding, environment.require_keras():
            tf.keras.utils.set_random_seed(config.seed)  # initial weights, Dropout's seeds
            generator, discriminator = make_generator(config.latent_dim), make_discriminator()
            self.generator = self.convert(generator)
            self.discriminator = self.convert(discriminator)
            self.averaged_generator = self.convert(generator) if config.ema_decay else None
        rate = config.learning_rate
        self.generator_optimizer = tf.keras.optimizers.Adam(rate, beta_1=config.beta_1)
        rate = config.discriminator_learning_rate or rate
        self.discriminator_optimizer = tf.keras.optimizers.Adam(rate, beta_1=config.beta_1)
        # Only a built optimizer has the variables that a checkpoint is restored into.
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        self.fixed_noise = make_fixed_noise(config.latent_dim, config.seed)
        self.step = tf.Variable(0, dtype=tf.int64, name="step")  # steps done

    def convert(self, network: tf.keras.Sequential) -> tf.keras.Sequential:
        """Returns a copy of a network that is computed as the config says: faster, say."""
        return fast_layers.convert(network, self.config.fast, self.config.precision)

    @tf.function
    def train_step(self, real_images, noise) -> dict:
        """Moves both networks once, each by its own loss.

        Both gradients are taken at the same point, before either network moves: this is
        *simultaneous* gradient descent/ascent, as in TensorFlow's tutorial.

        A gradient penalty belongs here: a third tape within the two watches images between the real
        and the fake ones, and the penalty on its gradient is added to `loss_of_discriminator`. The
        faster layers have second derivatives too.

        Args:
          real_images: `[batch, 28, 28, 1]` float32 in [-1, 1].
          noise: `[batch, latent_dim]` float32, unit Gaussian.

        Returns:
          A dict of float32 scalars, one for each name in `METRICS`: losses in nats, means over the
          batch; D(x) and D(G(z)) as mean probabilities; the discriminator's accuracies; the
          Euclidean norms of both gradients. All are taken where the gradients are.
        """
        with tf.GradientTape() as generator_tape, tf.GradientTape() as discriminator_tape:
            fake_images = self.generator(noise, training=True)  # [batch, 28, 28, 1]
            real_logits = self.discriminator(real_images, training=True)  # [batch, 1]
            fake_logits = self.discriminator(fake_images, training=True)
            loss_of_generator = generator_loss(fake_logits)
            loss_of_discriminator = discriminator_loss(real_logits, fake_logits)

        generator_gradients = generator_tape.gradient(
            loss_of_generator, self.generator.trainable_variables
        )
        discriminator_gradients = discriminator_tape.gradient(
            loss_of_discriminator, self.discriminator.trainable_variables
        )
        self.generator_optimizer.apply(generator_gradients, self.generator.trainable_variables)
        self.discriminator_optimizer.apply(
            discriminator_gradients, self.discriminator.trainable_variables
        )
        self.count_step()
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

    def count_step(self):
        """Counts a step as done, and moves the averaged generator towards the generator.

        BatchNorm's statistics are averaged too. The decay grows with the steps, as otherwise the
        early average would mostly hold the random initial weights. Source: Yazici et al. 2019; the
        ramp is that of TensorFlow's `ExponentialMovingAverage(num_updates)`.
        """
        self.step.assign_add(1)
        if self.averaged_generator:
            steps = tf.cast(self.step, tf.float32)
            decay = tf.minimum(self.config.ema_decay, (1.0 + steps) / (10.0 + steps))
            for average, weight in zip(self.averaged_generator.weights, self.generator.weights):
                average.assign_sub((1.0 - decay) * (average - weight))

    @property
    def steps_done(self) -> int:
        """How many steps are done, those before a restored checkpoint included."""
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
