"""A training step on a batch that is divided among the replicas of a `tf.distribute` strategy.

N replicas compute the same as one process, for three reasons:
- Replica r takes rows r, r + N, r + 2 N, ... of the batch. If the batch has fewer rows than there
  are replicas, each takes all rows, as TensorFlow's convolutions fail on an empty batch.
- A mean over the batch is the sum of the means over the shares, each weighted with its part of the
  rows. The same holds for gradients.
- Layers that depend on the whole batch are replaced by those in `layers`.
"""

import tensorflow as tf

from gan_tf.config import TrainConfig
from gan_tf.distributed import layers
from gan_tf.gan import Gan
from gan_tf.losses import discriminator_loss, generator_loss


class SharedGan(Gan):
    """A `Gan` with the same variables on all replicas, which divide each batch.

    Args:
      config: as for `Gan`, with `fast`.
      strategy: a `tf.distribute` strategy that mirrors variables.
    """

    def __init__(self, config: TrainConfig, strategy: tf.distribute.Strategy):
        self._strategy = strategy
        with strategy.scope():
            super().__init__(config)

    def convert(self, network):
        return layers.over_whole_batch(super().convert(network))

    def train_step(self, real_images, noise) -> dict:
        """Does what `Gan.train_step` does; every process passes the whole batch."""
        metrics = self._train_step(
            self._divide(real_images), self._divide(noise), batch_size=len(real_images)
        )
        # Each replica has the same values.
        return {
            name: self._strategy.experimental_local_results(metrics[name])[0] for name in metrics
        }

    def _divide(self, batch):
        def share(context):
            replica, replicas = context.replica_id_in_sync_group, context.num_replicas_in_sync
            return tf.constant(batch if len(batch) < replicas else batch[replica::replicas])

        return self._strategy.experimental_distribute_values_from_function(share)

    @tf.function
    def _train_step(self, real_images, noise, batch_size):
        replicas = self._strategy.num_replicas_in_sync
        is_divided = batch_size >= replicas
        for layer in self.discriminator.layers:
            if isinstance(layer, layers.Dropout):
                layer.has_whole_batch = not is_divided

        def on_replica(real_images, noise):
            part = len(real_images) / (batch_size if is_divided else batch_size * replicas)
            with tf.GradientTape() as generator_tape, tf.GradientTape() as discriminator_tape:
                fake_images = self.generator(noise, training=True)  # [share, 28, 28, 1]
                real_logits = self.discriminator(real_images, training=True)  # [share, 1]
                fake_logits = self.discriminator(fake_images, training=True)
                loss_of_generator = part * generator_loss(fake_logits)
                loss_of_discriminator = part * discriminator_loss(real_logits, fake_logits)

            generator_gradients = generator_tape.gradient(
                loss_of_generator, self.generator.trainable_variables
            )
            discriminator_gradients = discriminator_tape.gradient(
                loss_of_discriminator, self.discriminator.trainable_variables
            )
            means = {
                "generator_loss": loss_of_generator,
                "discriminator_loss": loss_of_discriminator,
                "real_probability": part * tf.reduce_mean(tf.sigmoid(real_logits)),
                "fake_probability": part * tf.reduce_mean(tf.sigmoid(fake_logits)),
                "real_accuracy": part * tf.reduce_mean(tf.cast(real_logits > 0, tf.float32)),
                "fake_accuracy": part * tf.reduce_mean(tf.cast(fake_logits < 0, tf.float32)),
            }
            means, generator_gradients, discriminator_gradients = (
                tf.distribute.get_replica_context().all_reduce(
                    tf.distribute.ReduceOp.SUM,
                    (means, generator_gradients, discriminator_gradients),
                )
            )
            metrics = means | {
                "generator_gradient_norm": tf.linalg.global_norm(generator_gradients),
                "discriminator_gradient_norm": tf.linalg.global_norm(discriminator_gradients),
            }
            return metrics, generator_gradients, discriminator_gradients

        metrics, generator_gradients, discriminator_gradients = self._strategy.run(
            on_replica, args=(real_images, noise)
        )
        self._apply(self.generator_optimizer, generator_gradients, self.generator)
        self._apply(self.discriminator_optimizer, discriminator_gradients, self.discriminator)
        self.count_step()
        return metrics

    def _apply(self, optimizer, gradients, network):
        """Applies gradients that are already summed over the replicas.

        `optimizer.apply` would sum them again. The norms need the sums before this.
        """

        def update(variable, gradient):
            optimizer.update_step(gradient, variable, optimizer.learning_rate)

        for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
            self._strategy.extended.update(variable.value, update, args=(gradient,))
        optimizer.iterations.assign_add(1)
