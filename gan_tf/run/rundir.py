"""A run on disk: the names of its files, its lock, its config.json and its tables."""

import contextlib
import dataclasses
import json
import os
import re
import shlex
import shutil
import tempfile
from pathlib import Path

from gan_tf._version import __version__
from gan_tf.config import OWN_IMAGES, TrainConfig, folder_name, still_known
from gan_tf.run.lock import NAME as LOCK
from gan_tf.run.lock import FolderLock
from gan_tf.run.tables import best_epoch, read_table, write_table
from gan_tf.system import files
from gan_tf.system.errors import UserError, one_line

# The layout of a run folder: 1 is that of gan_tf 1.0, which recorded no number; 2 adds columns
# to history.csv. docs/CHANGELOG.md lists what each version can read.
FORMAT = 2
_NEW = ".gan_tf.new"  # name of a new run's files until it takes the place of an old run


class _OtherVersion(UserError):
    """A config.json holds what this version does not know."""


class RunDir:
    """The folder of one training run; the README lists what it holds."""

    def __init__(self, path):
        self.path = Path(folder_name("run_dir", path))
        self.config_path = self.path / "config.json"
        self.new_config_path = self.path / f"{_NEW}.json"
        self.history_path = self.path / "history.csv"
        self.evaluation_path = self.path / "evaluation.csv"
        self.quality_path = self.path / "quality.png"
        self.checkpoints = self.path / "checkpoints"
        self.new_checkpoint_path = self.checkpoints / _NEW
        self.snapshots = self.path / "snapshots"
        self.samples = self.path / "samples"
        self.loss_curves_path = self.path / "loss_curves.png"
        self.epochs_path = self.path / "epochs.png"
        self.training_images_path = self.path / "training_images.png"
        self.gif_path = self.path / "training.gif"
        self.report_path = self.path / "report.html"
        self._lock = None
        # The names of a run's own files, by folder. No other file in these folders is touched.
        tensors = r"\.(index|data-\d{5}-of-\d{5})"
        self._own = {
            self.path: re.compile(
                r"config\.json|(history|evaluation)\.csv|(loss_curves|epochs|training_images|quality)\.png"
                r"|training\.gif|report\.html|events\.out\.tfevents\..*"
            ),
            self.checkpoints: re.compile(r"ckpt-\d+" + tensors),
            self.snapshots: re.compile(r"epoch_\d{4,}" + tensors),
            self.samples: re.compile(r"epoch_\d{4,}\.png"),
        }

    def checkpoint_path(self, step: int) -> Path:
        """Returns the path of a checkpoint, without the suffixes of its files."""
        return self.checkpoints / f"ckpt-{step}"

    def snapshot_path(self, epoch: int) -> Path:
        """Returns the path of a snapshot, without the suffixes of its files."""
        return self.snapshots / f"epoch_{epoch:04}"

    def sample_path(self, epoch: int) -> Path:
        """Returns the path of the grid of images sampled from the run's fixed noise."""
        return self.samples / f"epoch_{epoch:04}.png"

    def checkpoint_steps(self) -> list[int]:
        """Returns the steps that have a checkpoint, readable or not, newest first."""
        return sorted(_numbers(self.checkpoints, r"ckpt-(\d+)\.(?:index|data-.*)"), reverse=True)

    def snapshot_epochs(self) -> list[int]:
        """Returns the epochs that have a snapshot, in order."""
        return sorted(_numbers(self.snapshots, r"epoch_(\d+)\.index"))

    def sample_paths(self) -> dict[int, Path]:
        """Returns the grids by epoch, sorted by number: as text, 10000 precedes 9999."""
        return dict(sorted(_numbers(self.samples, r"epoch_(\d+)\.png").items()))

    # --------------------------------------------------------------------- ownership of the folder

    @contextlib.contextmanager
    def locked(self):
        """Locks the run for this process; creates the folder, and removes it if no run started."""
        files.check_tensorflow_name(self.path)
        try:
            created = [path for path in (self.path, *self.path.parents) if not path.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"`run_dir` {self.path} cannot be used as a folder: {error.strerror}"
            ) from error
        try:
            with FolderLock(self.path) as self._lock:
                yield
        finally:
            if not self.config_path.exists():  # no run has started
                # Another run may have started beside it; Windows does not remove an open file.
                with contextlib.suppress(OSError):
                    if self._lock:
                        self._lock.path.unlink(missing_ok=True)
                    for path in created:
                        path.rmdir()
            self._lock = None

    def check_held(self):
        """Raises RunFailed, before a write, if a locked run no longer belongs to this process."""
        if self._lock:
            self._lock.check()

    @contextlib.contextmanager
    def writing(self, path):
        """Yields a temporary path, as `files.written_whole` does, if the run is still our own."""
        self.check_held()
        with files.written_whole(path) as unfinished:
            yield unfinished

    def prepare(self):
        """Creates the run's folders, and refuses an unusable one now rather than after an epoch."""
        for folder in self._own:
            try:
                folder.mkdir(exist_ok=True)
                with tempfile.TemporaryFile(dir=folder):
                    pass
            except OSError as error:
                raise UserError(f"cannot write to {folder}: {error.strerror}") from error
            for path in files.entries(folder):
                if self._own[folder].fullmatch(path.name) and not path.is_file():
                    raise UserError(f"{path} is not a file: remove it")

    def remove_unfinished(self):
        """Removes the unfinished files of a killed process, and nothing else."""
        new = re.escape(_NEW)
        for folder, names in self._own.items():
            files.remove_unfinished(folder, re.compile(rf"{names.pattern}|{new}\.json"))
            for path in files.entries(folder):
                if re.fullmatch(rf"{new}\.(json|index|data-.*)", path.name):
                    path.unlink()
                elif re.fullmatch(rf"(ckpt-\d+|epoch_\d{{4,}}|{new})_temp", path.name):
                    shutil.rmtree(path, ignore_errors=not path.is_dir())  # unfinished by TensorFlow

    def own_files(self) -> list[Path]:
        """Returns the files of the run, sorted by name."""
        return sorted(
            path
            for folder, names in self._own.items()
            for path in files.entries(folder)
            if names.fullmatch(path.name) and path.is_file()
        )

    def has_file(self, path: Path) -> bool:
        """Returns whether the folder holds a run and `path` is the name of one of its files."""
        names = self._own.get(path.parent)
        is_own = path == self.path / LOCK or (names and names.fullmatch(path.name))
        return bool(is_own) and self.config_path.exists()

    # ------------------------------------------------------------------------ replacing an old run

    def check_replaceable(self):
        """Refuses to replace anything but a run of gan_tf, of any version."""
        if os.path.lexists(self.config_path):
            with contextlib.suppress(_OtherVersion):
                self.read_config()
        else:
            self._check_empty()

    def replace(self) -> int:
        """Puts the new run, which was written beside the old one, in its place.

        The old config.json is removed first, and the new one gets its name last, so that `settle`
        can complete the replacement after a kill at any point. Returns the number of removed files.
        """
        self.config_path.unlink(missing_ok=True)
        files.sync(self.path)
        first = self.checkpoint_path(0).name
        old = [path for path in self.own_files() if path.stem != first]
        for path in old:
            path.unlink()
        for path in files.entries(self.checkpoints):
            if path.stem == _NEW:
                os.replace(path, path.with_name(first + path.suffix))
        os.replace(self.new_config_path, self.config_path)
        return len(old) + 1

    def settle(self):
        """Completes a replacement that was killed, unless the old run is still whole."""
        if self.new_config_path.exists() and not self.config_path.exists():
            self.replace()

    # --------------------------------------------------------------------------------- config.json

    def check(self, config: TrainConfig) -> TrainConfig | None:
        """Returns the recorded settings, or None if there is no run yet.

        Raises UserError if the run was started with other settings, and names both values.
        """
        if not os.path.lexists(self.config_path):
            self._check_empty()
            return None
        recorded, _ = self.read_config()
        differing = config.differences(recorded)
        history = self.read_history()
        last_step = history[-1]["step"] if history else 0
        is_in_mid_epoch = max(self.checkpoint_steps(), default=0) > last_step
        epochs = len(history) + is_in_mid_epoch
        if config.epochs < epochs:
            differing.append(f"`epochs` is {config.epochs}, and {epochs} are started or complete")
        if differing:
            resuming = "resume it with its own images and settings"
            if not recorded.dataset.startswith(OWN_IMAGES):
                names = ", ".join(text.split()[0] for text in differing)
                more = f" --epochs {config.epochs}" if config.epochs > recorded.epochs else ""
                resuming = (
                    f"resume it without {names}: gan-tf train --resume --run-dir"
                    f" {shlex.quote(str(self.path))}{more}"
                )
            raise UserError(
                f"{self.path} holds a run with other settings ({'; '.join(differing)}):"
                f" choose another `run_dir`, or {resuming}"
            )
        return recorded

    def _check_empty(self):
        if names := ", ".join(path.name for path in self.own_files()[:3]):
            raise UserError(
                f"{self.path} holds {names} but no config.json, so it may not be a run:"
                " choose another `run_dir`, or move the files away"
            )

    def is_finished(self, config: TrainConfig) -> bool:
        """Returns whether this config has nothing left to compute; also checks it, as `check`."""
        if not os.path.exists(self.config_path):  # unlike Path.exists, this never raises
            return False
        recorded = self.check(config)
        if not recorded or (config.epochs, config.dataset) != (recorded.epochs, recorded.dataset):
            return False  # another image folder may hold the same images, or not
        history = self.read_history()
        results = (self.loss_curves_path, self.epochs_path, self.gif_path, self.report_path)
        return (
            len(history) == config.epochs
            and history[-1]["step"] in self.checkpoint_steps()
            and config.epochs in self.snapshot_epochs()
            and all(path.exists() for path in results)
        )

    def write_config(self, config: TrainConfig, environment: dict, path: Path | None = None):
        """Records the settings of the run and its environment, by default in config.json."""
        settings = dataclasses.asdict(config)
        record = {"format": FORMAT, "config": settings, "environment": environment}
        with self.writing(path or self.config_path) as unfinished:
            unfinished.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    def read_config(self) -> tuple[TrainConfig, dict]:
        """Returns the settings of the run, and the environment in which it was started.

        Raises:
          UserError: the folder holds no run, or its config.json is damaged or of another version.
        """
        try:
            record = json.loads(files.read_text(self.config_path))
            settings, environment = still_known(record["config"]), record["environment"]
            version, format = environment["gan_tf"], record.get("format", 1)
            unknown = settings.keys() - {field.name for field in dataclasses.fields(TrainConfig)}
            if format not in range(1, FORMAT + 1):
                unknown = {f"format {format}"}
            if unknown:
                raise _OtherVersion(
                    f"{self.config_path} has what gan_tf {__version__} does not know"
                    f" ({', '.join(sorted(unknown))}): resume it with its own version, gan_tf"
                    f" {version}, or choose another `run_dir`"
                )
            return TrainConfig(**settings), environment
        except _OtherVersion:
            raise
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(
                f"`run_dir` {self.path} holds no run (no config.json): train one there, or choose"
                " another"
            ) from None
        except OSError as error:
            raise UserError(f"cannot read {self.config_path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(
                f"{self.config_path} is damaged, or not of gan_tf ({one_line(error)}): restore it"
                " from a backup, or choose another `run_dir`"
            ) from error

    # -------------------------------------------------------------------------------------- tables

    def read_history(self, at_least: int = 0, columns=()) -> list[dict]:
        """Returns the rows of history.csv, one for each complete epoch, in order.

        Raises:
          UserError: the file is damaged, has fewer than `at_least` rows, or misses one of the named
            columns in any of them.
        """
        rows = read_table(self.history_path)
        if (
            rows is None
            or len(rows) < at_least
            or [row.get("epoch") for row in rows] != list(range(1, len(rows) + 1))
            or any(row.get(name) is None for row in rows for name in ("step", *columns))
        ):
            raise UserError(
                f"{self.history_path} has lost rows or columns, or is damaged: restore it from a"
                " backup, or choose another `run_dir`"
            )
        return rows

    def read_evaluation(self) -> list[dict]:
        """Returns the rows of evaluation.csv, one for each evaluated epoch, in order."""
        rows = read_table(self.evaluation_path)
        if rows is None or any(row.get(name) is None for row in rows for name in ("epoch", "fcd")):
            raise UserError(f"{self.evaluation_path} is damaged: remove it, or restore it")
        return sorted(rows, key=lambda row: row["epoch"])

    def write_evaluation(self, rows: list[dict]):
        """Writes evaluation.csv, replacing the old file as a whole."""
        with self.writing(self.evaluation_path) as unfinished:
            write_table(unfinished, rows)

    def best_evaluated_epoch(self) -> int | None:
        """Returns the epoch with the lowest FCD, even if it has no snapshot."""
        return best_epoch(self.read_evaluation())

    def best_kept_epoch(self) -> int | None:
        """Returns the epoch with the lowest FCD among those that have a snapshot."""
        kept = self.snapshot_epochs()
        return best_epoch([row for row in self.read_evaluation() if row["epoch"] in kept])

    def write_history(self, rows: list[dict]):
        """Writes history.csv, replacing the small file as a whole so that no row is cut short."""
        with self.writing(self.history_path) as unfinished:
            write_table(unfinished, rows)


def load_config(run_dir) -> TrainConfig:
    """Returns the recorded settings of a run, with which `train` resumes it.

    Args:
      run_dir: its folder, which may have been moved since.

    Raises:
      UserError: there is no run in the folder, or this version cannot read it.
    """
    config, _ = RunDir(run_dir).read_config()
    return dataclasses.replace(config, run_dir=run_dir)


def check_output(path, replaceable=()):
    """Refuses an output path that is a file which a run needs, or is not a regular file.

    Names of a run's files that are `replaceable` are allowed.
    """
    files.check_target(path)
    for place in Path(os.path.abspath(path)), Path(os.path.realpath(path)):
        for run in RunDir(place.parent), RunDir(place.parent.parent):
            if run.has_file(place) and place.name not in replaceable:
                raise UserError(
                    f"{path} is a file of the run in {run.path}: choose another `output`"
                )


def _numbers(folder, pattern):
    """Maps the number in each file name that matches a pattern to the path."""
    names = ((re.fullmatch(pattern, path.name), path) for path in files.entries(folder))
    return {int(match[1]): path for match, path in names if match}
