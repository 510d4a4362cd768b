"""Trains the ill runs in tests/report/ill_runs again.

    python tests/report/make_ill_runs.py MANUAL_DIR DATA_DIR [NAME ...]

Each run is real but small: 2,000 images of Fashion-MNIST, and a few minutes on two cores.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from gan_tf import TrainConfig, train
from gan_tf.run.rundir import RunDir

FOLDER = Path(__file__).with_name("ill_runs")
# Settings that differ from the defaults.
SETTINGS = {
    "high_learning_rate": {"learning_rate": 1e-2, "epochs": 15},
    "low_learning_rate": {"learning_rate": 1e-6, "epochs": 15},
    "fast_discriminator": {"discriminator_learning_rate": 1e-3, "epochs": 25},
    "slow_discriminator": {"discriminator_learning_rate": 1e-6, "epochs": 15},
    "fast_generator": {"learning_rate": 1e-3, "discriminator_learning_rate": 1e-5, "epochs": 25},
    "swinging": {"learning_rate": 1e-3, "epochs": 40},
    "tiny_data_set": {"max_images": 64, "epochs": 60},
    "one_epoch": {"epochs": 1},
}


def make(name, manual_dir, data_dir):
    """Trains one ill run and keeps its settings, its history, every fifth grid and the last one."""
    with tempfile.TemporaryDirectory() as folder:
        places = {"run_dir": folder, "manual_dir": manual_dir, "data_dir": data_dir}
        config = TrainConfig(**places, **{"max_images": 2000, **SETTINGS[name]})
        train(config)
        run, kept = RunDir(folder), RunDir(FOLDER / name)
        shutil.rmtree(kept.path, ignore_errors=True)
        kept.samples.mkdir(parents=True)
        shutil.copy(run.history_path, kept.history_path)
        record = run.config_path.read_text()
        for path in places.values():
            record = record.replace(f'"{path}"', "null")
        kept.config_path.write_text(record)
        for epoch, path in run.sample_paths().items():
            if epoch % 5 == 0 or epoch == config.epochs:
                shutil.copy(path, kept.sample_path(epoch))


if __name__ == "__main__":
    manual_dir, data_dir, *names = sys.argv[1:]
    for name in names or SETTINGS:
        make(name, manual_dir, data_dir)
