"""The layers that see more than one image at once, for a batch of which each replica has a share.

BatchNorm takes its statistics over the whole batch, by Keras's own synchronized layer, and Dropout
draws the mask that one process would draw.
"""

import tensorflow as tf

from gan_tf import fast_layers


def over_whole_batch(model: tf.keras.Sequential) -> tf.keras.Sequential:
    """Returns a copy of a model that computes on shares of a batch what it does on the whole.

    Args:
      model: built; its Dropout layers are those of `fast_layers`, as Keras draws other masks.
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
    """`fast_layers.Dropout` on rows r, r + N, ... of a batch, in replica r of N.

    Attributes:
      has_whole_batch: whether the inputs are all rows of the batch instead.
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
    """Rows replica, replica + replicas, ... of the `dropout_mask` of the whole batch."""
    positions = tf.range(tf.reduce_prod(shape))  # in the share
    row_size = tf.reduce_prod(shape[1:])
    positions += (replica + positions // row_size * (replicas - 1)) * row_size  # in the batch
    return tf.reshape(fast_layers.mask_at(positions, rate, state), shape)
