"""DCGAN on Fashion-MNIST in TensorFlow, and the minimax game behind it.

Importing this package does not import TensorFlow: what needs it is loaded at first use.
"""

import importlib
from typing import TYPE_CHECKING

from gan_tf._version import __version__ as __version__
from gan_tf.config import TrainConfig
from gan_tf.system.console import import_tensorflow
from gan_tf.system.errors import RunFailed, UserError

if TYPE_CHECKING:  # for editors and mypy, which see nothing of what is loaded at first use
    from gan_tf.evaluation.choose import sample_class as sample_class
    from gan_tf.evaluation.curve import evaluate_run as evaluate_run
    from gan_tf.evaluation.evaluate import evaluate_snapshot as evaluate_snapshot
    from gan_tf.evaluation.neighbours import write_neighbours as write_neighbours
    from gan_tf.export import export_generator as export_generator
    from gan_tf.report import write_report as write_report
    from gan_tf.run.artifacts import plot_losses as plot_losses
    from gan_tf.run.rundir import load_config as load_config
    from gan_tf.snapshots import load_pretrained as load_pretrained
    from gan_tf.snapshots import load_snapshot as load_snapshot
    from gan_tf.training import train as train

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
