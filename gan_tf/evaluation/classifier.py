"""The classifier of the evaluation, under the name that it had in version 2.0."""

from gan_tf.data.classifier import Classifier, load_classifier, read_classifier, train_classifier

__all__ = ["Classifier", "load_classifier", "read_classifier", "train_classifier"]
