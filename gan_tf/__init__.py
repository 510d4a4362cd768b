"""DCGAN on Fashion-MNIST in TensorFlow, and the minimax game behind it.

Importing this package does not import TensorFlow: what needs it is loaded at first use.
"""

import importlib

from gan_tf._version import __version__ as __version__
from gan_tf.config import TrainConfig
from gan_tf.system.console import import_tensorflow
from gan_tf.system.errors import RunFailed, UserError

_LOADED_AT_FIRST_USE = {
    "train": "gan_tf.training",
    "load_config": "gan_tf.run.rundir",
    "load_snapshot": "gan_tf.snapshots",
    "load_pretrained": "gan_tf.snapshots",
    "export_generator": "gan_tf.export",
    "evaluate_run": "gan_tf.evaluation.curve",
    "evaluate_snapshot": "gan_tf.evaluation.evaluate",
    "sample_class": "gan_tf.evaluation.choose",
    "write_neighbours": "gan_tf.evaluation.neighbours",
    "plot_losses": "gan_tf.run.artifacts",
    "write_report": "gan_tf.report",
}
_WITHOUT_TENSORFLOW = {"load_config", "plot_losses", "write_report"}
__all__ = ["TrainConfig", "RunFailed", "UserError", *_LOADED_AT_FIRST_USE]


def __getattr__(name):
    if name not in _LOADED_AT_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _WITHOUT_TENSORFLOW:
        import_tensorflow()  # without the lines that it writes into a notebook
    return getattr(importlib.import_module(_LOADED_AT_FIRST_USE[name]), name)


def __dir__():
    return __all__
