# For editors and mypy, which see nothing of what is loaded at first use.
from gan_tf._version import __version__ as __version__
from gan_tf.config import TrainConfig as TrainConfig
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
from gan_tf.system.errors import RunFailed as RunFailed
from gan_tf.system.errors import UserError as UserError
from gan_tf.training import train as train
