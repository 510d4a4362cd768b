"""Both networks with their optimizers, and one move of the game that they play."""

import threading

import tensorflow as tf

from gan_tf import environment
from gan_tf.config import TrainConfig
from gan_tf.losses import discriminator_loss, generator_loss
from gan_tf.models import make_discriminator, make_generator
from gan_tf.noise import make_fixed_noise

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
      config: `latent_dim`, `learning_rate`, `seed`, `fast` and `precision`.

    Raises:
      UserError: Keras is set up otherwise than the networks need it.
    """

    def __init__(self, config: TrainConfig):
        environment.require_keras()
        with _seeding:
            tf.keras.utils.set_random_seed(config.seed)  # initial weights, Dropout's seeds
            self.generator = make_generator(config.latent_dim, config.fast, config.precision)
            self.discriminator = make_discriminator(config.fast, config.precision)
        self.generator_optimizer = tf.keras.optimizers.Adam(config.learning_rate)
        self.discriminator_optimizer = tf.keras.optimizers.Adam(config.learning_rate)
        # Only a built optimizer has the variables that a checkpoint is restored into.
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        self.fixed_noise = make_fixed_noise(config.latent_dim, config.seed)
        self.step = tf.Variable(0, dtype=tf.int64, name="step")  # moves made
        self._train_step = make_train_step()

    @property
    def steps_done(self) -> int:
        """How many moves were made, those before a restored checkpoint included."""
        return int(self.step.numpy())

    def train_step(self, real_images, noise) -> dict:
        """Makes one move of both players; see `train_step` below."""
        metrics = self._train_step(
            self.generator,
            self.discriminator,
            self.generator_optimizer,
            self.discriminator_optimizer,
            real_images,
            noise,
        )
        self.step.assign_add(1)
        return metrics

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
            generator=self.generator,
            discriminator=self.discriminator,
            generator_optimizer=self.generator_optimizer,
            discriminator_optimizer=self.discriminator_optimizer,
            dropout_seeds=seeds,
            fixed_noise=self.fixed_noise,
            step=self.step,
            **variables,
        )


def make_train_step():
    """Returns `train_step` as a fresh `tf.function`, which serves one pair of networks."""
    return tf.function(train_step)


def train_step(
    generator,
    discriminator,
    generator_optimizer,
    discriminator_optimizer,
    real_images,
    noise,
    mean=tf.reduce_mean,
    total=None,
):
    """Makes one move of both players.

    Both gradients are taken at the same point, before either network moves: this is *simultaneous*
    gradient descent/ascent, as in TensorFlow's tutorial; Goodfellow et al. 2014 alternate.

    Args:
      generator, discriminator: Keras models.
      generator_optimizer, discriminator_optimizer: built for them.
      real_images: `[batch, 28, 28, 1]` float32 in [-1, 1].
      noise: `[batch, latent_dim]` float32, unit Gaussian.
      mean: how to average one number per image over the batch.
      total: where several processes each have a share of the batch, adds up over them each tensor
        of a list, or of a dict; `mean` then gives a process's part of the mean.

    Returns:
      A dict of float32 scalars, one for each name in `METRICS`: losses in nats, means over the
      batch; D(x) and D(G(z)) as mean probabilities; the discriminator's accuracies; the Euclidean
      norms of both gradients.
    """
    with tf.GradientTape() as generator_tape, tf.GradientTape() as discriminator_tape:
        fake_images = generator(noise, training=True)  # [batch, 28, 28, 1]
        real_logits = discriminator(real_images, training=True)  # [batch, 1]
        fake_logits = discriminator(fake_images, training=True)
        loss_of_generator = generator_loss(fake_logits, mean)
        loss_of_discriminator = discriminator_loss(real_logits, fake_logits, mean)

    generator_gradients = generator_tape.gradient(loss_of_generator, generator.trainable_variables)
    discriminator_gradients = discriminator_tape.gradient(
        loss_of_discriminator, discriminator.trainable_variables
    )
    metrics = {
        "generator_loss": loss_of_generator,
        "discriminator_loss": loss_of_discriminator,
        "real_probability": mean(tf.sigmoid(real_logits)),
        "fake_probability": mean(tf.sigmoid(fake_logits)),
        "real_accuracy": mean(tf.cast(real_logits > 0, tf.float32)),
        "fake_accuracy": mean(tf.cast(fake_logits < 0, tf.float32)),
    }
    if total:
        generator_gradients = total(generator_gradients)
        discriminator_gradients = total(discriminator_gradients)
        metrics = total(metrics)
    generator_optimizer.apply(generator_gradients, generator.trainable_variables)
    discriminator_optimizer.apply(discriminator_gradients, discriminator.trainable_variables)
    return {
        **metrics,
        "generator_gradient_norm": tf.linalg.global_norm(generator_gradients),
        "discriminator_gradient_norm": tf.linalg.global_norm(discriminator_gradients),
    }
