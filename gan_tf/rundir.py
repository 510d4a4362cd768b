"""A run on disk: the names of its files, its lock, its config, its history."""

import contextlib
import csv
import dataclasses
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np

from gan_tf import files, images, plots
from gan_tf.config import TrainConfig, flag, whole_number
from gan_tf.errors import UserError

try:
    import fcntl
except ImportError:  # Windows: nothing keeps two processes off one run there
    fcntl = None

# Where a run lies, where its data comes from and how far it goes may change from start to start;
# everything else decides its numbers.
_MAY_CHANGE = {"run_dir", "data_dir", "manual_dir", "epochs"}
_COUNTS = {"epoch", "step"}  # the columns of history.csv that are whole numbers
_LOCK = "lock"


class RunDir:
    """The folder of one training run; see the README for what it holds."""

    def __init__(self, path):
        self.path = Path(path)
        self.config_path = self.path / "config.json"
        self.history_path = self.path / "history.csv"
        self.checkpoints = self.path / "checkpoints"
        self.snapshots = self.path / "snapshots"
        self.samples = self.path / "samples"
        self.loss_curves_path = self.path / "loss_curves.png"
        self.gif_path = self.path / "training.gif"

    def snapshot_path(self, epoch: int) -> Path:
        """Returns the path prefix of a snapshot."""
        return self.snapshots / f"epoch_{epoch:04}"

    def sample_path(self, epoch: int) -> Path:
        """Returns the path of the grid of the run's fixed noise."""
        return self.samples / f"epoch_{epoch:04}.png"

    def snapshot_epochs(self) -> list[int]:
        """Returns the epochs that have a snapshot, in order."""
        return sorted(_by_epoch(self.snapshots, ".index"))

    def sample_paths(self) -> dict[int, Path]:
        """Returns the grids by epoch, in order of their numbers: as text 10000 is before 9999."""
        return dict(sorted(_by_epoch(self.samples, ".png").items()))

    @contextlib.contextmanager
    def locked(self):
        """Holds the run for this process; makes the folder, and takes it back if no run began.

        Raises:
          UserError: another process holds the run, or the folder cannot be made or written to.
        """
        made = [path for path in (self.path, *self.path.parents) if not path.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = open(self.path / _LOCK, "a+", encoding="ascii")
        except OSError as error:
            raise self._unusable(error) from error
        with lock:
            if fcntl:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # freed even by kill -9
                except BlockingIOError:
                    lock.seek(0)
                    raise UserError(
                        f"--run-dir {self.path} is in use by process {lock.read()}: wait for it"
                    ) from None
            try:
                self._write_process_id(lock)
                yield
            finally:
                lock.truncate(0)
                if not self.config_path.exists():
                    Path(lock.name).unlink()
                    for path in made:
                        path.rmdir()

    def _write_process_id(self, lock):
        lock.truncate(0)
        try:
            os.write(lock.fileno(), str(os.getpid()).encode())  # no buffer to fail again at close
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error):
        return UserError(f"--run-dir {self.path} cannot be used: {error.strerror}")

    def clear(self):
        """Removes what a run has written here, and nothing else."""
        for folder in (self.checkpoints, self.snapshots, self.samples):
            shutil.rmtree(folder, ignore_errors=True)
        for path in (self.history_path, self.loss_curves_path, self.gif_path, self.config_path):
            path.unlink(missing_ok=True)
        for path in self.path.glob("events.out.tfevents.*"):
            path.unlink()

    def check(self, config: TrainConfig):
        """Refuses to go on with a run that was begun with other settings.

        Raises:
          UserError: the text names each field that differs, with both values.
        """
        if not self.config_path.exists():
            if self.checkpoints.exists():
                raise UserError(
                    f"{self.checkpoints} is there, but no config.json: name another --run-dir,"
                    " or add --overwrite to start again from epoch 0"
                )
            return
        begun, _ = self.read_config()
        differing = [
            f"{flag(field.name)} is {getattr(config, field.name)}, was {getattr(begun, field.name)}"
            for field in dataclasses.fields(TrainConfig)
            if field.name not in _MAY_CHANGE
            and getattr(config, field.name) != getattr(begun, field.name)
        ]
        if config.epochs < begun.epochs:
            differing.append(f"--epochs is {config.epochs}, was {begun.epochs}: it may only grow")
        if differing:
            raise UserError(
                f"{self.path} holds a run with other settings ({'; '.join(differing)}):"
                " use its settings, or another --run-dir"
            )

    def write_config(self, config: TrainConfig, environment: dict):
        """Records the choices of the run and what it runs on."""
        record = {"config": dataclasses.asdict(config), "environment": environment}
        with files.written_whole(self.config_path) as unfinished:
            unfinished.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    def read_config(self) -> tuple[TrainConfig, dict]:
        """Returns the choices of the run, and what it was begun on.

        Raises:
          UserError: there is no run in the folder, or its config.json is damaged.
        """
        try:
            record = json.loads(self.config_path.read_text(encoding="utf-8"))
            choices, environment = record["config"], record["environment"]
            known = {field.name for field in dataclasses.fields(TrainConfig)}
            if not (unknown := choices.keys() - known):
                return TrainConfig(**choices), environment
            version = environment["gan_tf"]
        except (FileNotFoundError, NotADirectoryError):
            message = f"--run-dir {self.path} holds no run (it has no config.json): name another"
            raise UserError(message) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{self.config_path} is damaged: {error}") from error
        raise UserError(
            f"{self.config_path} has fields that this version does not know"
            f" ({', '.join(sorted(unknown))}): go on with the run's own version, gan_tf {version},"
            " or name another --run-dir"
        )

    def read_history(self, at_least: int = 0) -> list[dict]:
        """Returns the rows of history.csv, one per finished epoch, the first one first.

        Raises:
          UserError: it is damaged, or holds less than the first `at_least` epochs.
        """
        rows = []
        try:
            if self.history_path.exists():
                with open(self.history_path, newline="", encoding="utf-8") as file:
                    rows = [
                        {name: (int if name in _COUNTS else float)(row[name]) for name in row}
                        for row in csv.DictReader(file)
                    ]
            epochs = [row["epoch"] for row in rows]
            whole = epochs == list(range(1, len(rows) + 1)) and len(rows) >= at_least
        except (ValueError, TypeError, KeyError, csv.Error):  # depending on the damage
            whole = False
        if not whole:
            raise UserError(
                f"{self.history_path} has lost rows or is damaged: bring it back from a copy, or"
                " add --overwrite to start again from epoch 0"
            )
        return rows

    def write_history(self, rows: list[dict]):
        """Puts history.csv in place anew: the file is small, and so no row can be torn."""
        with files.written_whole(self.history_path) as unfinished:
            with open(unfinished, "w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, rows[0])
                writer.writeheader()
                writer.writerows(rows)

    def write_samples(self, epoch: int, samples) -> np.ndarray:
        """Writes the grid of an epoch, and returns its pixels.

        Args:
          epoch: whole number >= 1.
          samples: `[count, 28, 28, 1]` float32 in [-1, 1].
        """
        with files.written_whole(self.sample_path(epoch)) as unfinished:
            return images.write_samples(unfinished, samples)

    def write_loss_curves(self, snapshot_epochs):
        """Draws loss_curves.png from history.csv."""
        with files.written_whole(self.loss_curves_path) as unfinished:
            plots.write_loss_curves(unfinished, self.read_history(), snapshot_epochs)

    def write_gif(self, output=None, frame_ms: int = 200, hold_ms: int = 2000) -> str:
        """Animates the grids of the run so far, in the order of their epochs.

        Args:
          output: the file, training.gif in the run's folder if None.
          frame_ms: how long each frame stands, in milliseconds; GIF counts in steps of 10.
          hold_ms: how long the last frame stands.

        Returns:
          What was made, in one line.

        Raises:
          UserError: there are no grids yet, one is damaged or of another size, or a duration is
            less than 10 ms.
        """
        for name, value in [("frame_ms", frame_ms), ("hold_ms", hold_ms)]:
            whole_number(name, value, at_least=10)
        paths = self.sample_paths()
        if not paths:
            raise UserError(f"no frames for a GIF: {self.samples} holds no epoch_*.png yet")
        frames = []
        for epoch, path in paths.items():
            frames.append(images.with_caption(images.read_png(path), f"epoch {epoch}"))
            if frames[-1].shape != frames[0].shape:
                raise UserError(
                    f"{path} is not of the size of the first frame, {next(iter(paths.values()))}:"
                    " remove the one that is foreign to the run"
                )
        output = Path(output or self.gif_path)
        with files.written_whole(output) as unfinished:
            images.write_gif(unfinished, frames, frame_ms, hold_ms)
        height, width = frames[0].shape
        seconds = (frame_ms * (len(frames) - 1) + hold_ms) / 1000
        return (
            f"{output}: {len(frames)} frames of {width} x {height} pixels, {seconds:.1f} s,"
            f" {output.stat().st_size / 1e6:.2f} MB"
        )

    def contents(self) -> list[str]:
        """Returns the path of every file of the run, in order of their names, without the lock."""
        paths = (path for path in self.path.rglob("*") if path.is_file() and path.name != _LOCK)
        return [str(path) for path in sorted(paths)]


def _by_epoch(folder, suffix):
    """Maps the number in each name epoch_NNNN to its path."""
    names = ((re.fullmatch(r"epoch_(\d+)", path.stem), path) for path in folder.glob("*" + suffix))
    return {int(match[1]): path for match, path in names if match}
