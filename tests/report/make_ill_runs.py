"""Trains the ill runs whose history and last grids lie in tests/report/ill_runs.

    python tests/report/make_ill_runs.py MANUAL_DIR DATA_DIR [NAME ...]

Each run is real and small: 2,000 images of Fashion-MNIST, a few minutes on two cores.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from gan_tf.config import TrainConfig
from gan_tf.rundir import RunDir
from gan_tf.training import _Training

FOLDER = Path(__file__).with_name("ill_runs")
# What differs from the defaults: fields of the config, and each network's own learning rate.
ILLNESSES = {
    "high_learning_rate": ({"learning_rate": 1e-2, "epochs": 10}, {}),
    "fast_discriminator": ({"epochs": 25}, {"discriminator": 1e-3}),
    "fast_generator": ({"epochs": 25}, {"generator": 1e-3, "discriminator": 1e-5}),
    "tiny_data_set": ({"max_images": 64, "epochs": 60}, {}),
    "one_epoch": ({"epochs": 1}, {}),
}


def make(name, manual_dir, data_dir):
    """Trains one ill run and keeps its config, its history and every fifth grid."""
    from gan_tf import data

    fields, rates = ILLNESSES[name]
    with tempfile.TemporaryDirectory() as folder:
        config = TrainConfig(
            run_dir=folder,
            manual_dir=manual_dir,
            data_dir=data_dir,
            **{"max_images": 2000, **fields},
        )
        run = RunDir(folder)
        training = _Training(config, run, data.load_images(config))
        for network, rate in rates.items():
            getattr(training, f"{network}_optimizer").learning_rate = rate
        training.run_to_end()
        kept = RunDir(FOLDER / name)
        shutil.rmtree(kept.path, ignore_errors=True)
        kept.samples.mkdir(parents=True)
        shutil.copy(run.history_path, kept.history_path)
        record = run.config_path.read_text()
        for private in (folder, manual_dir, data_dir):
            record = record.replace(f'"{private}"', "null")
        kept.config_path.write_text(record)
        for epoch, path in run.sample_paths().items():
            if epoch % 5 == 0 or epoch == config.epochs:
                shutil.copy(path, kept.sample_path(epoch))


if __name__ == "__main__":
    manual_dir, data_dir, *names = sys.argv[1:]
    for name in names or ILLNESSES:
        make(name, manual_dir, data_dir)
