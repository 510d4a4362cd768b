"""Layers that depend on the whole batch, for replicas that each have a share of it.

BatchNorm computes its statistics over the whole batch, with Keras's own `synchronized` option.
Dropout uses the mask that one process would use.
"""

import tensorflow as tf

from gan_tf import fast_layers


def over_whole_batch(model: tf.keras.Sequential) -> tf.keras.Sequential:
    """Returns a copy of a model whose outputs on shares of a batch equal those on the whole batch.

    Args:
      model: a built model with the Dropout of `fast_layers`, as that of Keras has other masks.
    """

    def convert_layer(layer):
        config = layer.get_config() | {"dtype": layer.dtype_policy}
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            return tf.keras.layers.BatchNormalization(**config | {"synchronized": True})
        if isinstance(layer, fast_layers.Dropout):
            return Dropout(**config)
        return type(layer)(**config)

    return fast_layers.clone(model, convert_layer)


class Dropout(fast_layers.Dropout):
    """`fast_layers.Dropout` for replica r of N, which has rows r, r + N, ... of a batch.

    Attributes:
      has_whole_batch: whether each replica has all rows of the batch instead.
    """

    has_whole_batch = False

    def call(self, inputs, training=False):
        if self.has_whole_batch or not training:
            return super().call(inputs, training=training)
        context = tf.distribute.get_replica_context()
        mask = _mask_of_share(
            tf.shape(inputs),
            self.rate,
            self.seed_generator.next(),
            context.replica_id_in_sync_group,
            context.num_replicas_in_sync,
        )
        return inputs * tf.cast(mask, inputs.dtype)


@tf.function(jit_compile=True)
def _mask_of_share(shape, rate, state, replica, replicas):
    """Returns rows replica, replica + replicas, ... of the mask of the whole batch."""
    positions = tf.range(tf.reduce_prod(shape))  # in the share
    row_size = tf.reduce_prod(shape[1:])
    positions += (replica + positions // row_size * (replicas - 1)) * row_size  # in the batch
    return tf.reshape(fast_layers.mask_at(positions, rate, state), shape)
