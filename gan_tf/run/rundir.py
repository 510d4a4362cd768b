"""A run on disk: the names of its files, its lock, its config, its tables."""

import contextlib
import csv
import dataclasses
import json
import math
import os
import re
import shutil
import tempfile
from pathlib import Path

from gan_tf._version import __version__
from gan_tf.config import TrainConfig, folder_name, still_known
from gan_tf.run.lock import NAME as LOCK
from gan_tf.run.lock import FolderLock
from gan_tf.system import files
from gan_tf.system.errors import UserError

# What a run folder holds and how: 1 was gan_tf 1.0, which did not write it down; 2 adds columns to
# history.csv. docs/CHANGELOG.md tells what each version reads.
FORMAT = 2
# The columns of a table that are whole numbers, and those that are text.
_WHOLE_NUMBERS = {"epoch", "step", "images", "memorised", "kept_as_best"}
_TEXTS = {"classifier"}
_NEW = ".gan_tf.new"  # what a run is called while it waits to take the place of an old one


class RunDir:
    """The folder of one training run; see the README for what it holds.

    Args:
      path: its name.

    Raises:
      UserError: it is no name for a folder.
    """

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
        # The names that are a run's own, folder by folder; whatever else lies there is not touched.
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
        """Returns the path prefix of a checkpoint."""
        return self.checkpoints / f"ckpt-{step}"

    def snapshot_path(self, epoch: int) -> Path:
        """Returns the path prefix of a snapshot."""
        return self.snapshots / f"epoch_{epoch:04}"

    def sample_path(self, epoch: int) -> Path:
        """Returns the path of the grid of the run's fixed noise."""
        return self.samples / f"epoch_{epoch:04}.png"

    def checkpoint_steps(self) -> list[int]:
        """Returns the steps that have a checkpoint, newest first, readable or not."""
        return sorted(_numbers(self.checkpoints, r"ckpt-(\d+)\.(?:index|data-.*)"), reverse=True)

    def snapshot_epochs(self) -> list[int]:
        """Returns the epochs that have a snapshot, in order."""
        return sorted(_numbers(self.snapshots, r"epoch_(\d+)\.index"))

    def sample_paths(self) -> dict[int, Path]:
        """Returns the grids by epoch, in order of their numbers: as text 10000 is before 9999."""
        return dict(sorted(_numbers(self.samples, r"epoch_(\d+)\.png").items()))

    # ----------------------------------------------------------------------- whose folder it is

    @contextlib.contextmanager
    def locked(self):
        """Holds the run for this process; makes the folder, and takes it back if no run began.

        Raises:
          UserError: another process holds the run, or the folder cannot be made or written to.
        """
        files.check_tensorflow_name(self.path)
        try:
            made = [path for path in (self.path, *self.path.parents) if not path.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            reason = "is not a folder" if os.path.exists(self.path) else "is a link to nothing"
            raise UserError(f"`run_dir` {self.path} {reason}: name another") from None
        except OSError as error:
            raise UserError(f"`run_dir` {self.path} cannot be used: {error.strerror}") from error
        try:
            with FolderLock(self.path) as self._lock:
                yield
                begun = self.config_path.exists()
        except BaseException:
            begun = self.config_path.exists()
            raise
        finally:
            if self._lock and not begun:
                self._lock.remove()
            self._lock = None
            if not begun:
                for path in made:
                    with contextlib.suppress(OSError):  # another run may have begun beside it
                        path.rmdir()

    def check_held(self):
        """Makes sure that a locked run is still this process's own, before it writes to it.

        Raises:
          RunFailed: the folder was moved or removed, or another process has taken it over.
        """
        if self._lock:
            self._lock.check()

    @contextlib.contextmanager
    def writing(self, path):
        """Gives a temporary path, as `files.written_whole` does, if the run is still our own."""
        self.check_held()
        with files.written_whole(path) as unfinished:
            yield unfinished

    def prepare(self):
        """Makes the run's folders, and finds out now, not after an epoch, if one is not usable.

        Raises:
          UserError: names what cannot be written to.
        """
        for folder in self._own:
            try:
                if folder.is_symlink() and not folder.exists():
                    raise UserError(f"{folder} is a link to nothing: remove it")
                folder.mkdir(exist_ok=True)
                with tempfile.TemporaryFile(dir=folder):
                    pass
            except OSError as error:
                if files.is_disk_full(error):
                    raise files.disk_full(folder) from error
                raise UserError(f"cannot write to {folder}: {error.strerror}") from error
            for path in files.entries(folder):
                if self._own[folder].fullmatch(path.name) and not path.is_file():
                    raise UserError(f"{path} is not a file: remove it")

    def remove_unfinished(self):
        """Removes what a killed process was still writing, and nothing else."""
        new = re.escape(_NEW)
        for folder, names in self._own.items():
            files.remove_unfinished(folder, re.compile(rf"{names.pattern}|{new}\.json"))
            for path in files.entries(folder):
                # TensorFlow's name for a checkpoint that it has not finished.
                if (
                    re.fullmatch(rf"(ckpt-\d+|epoch_\d{{4,}}|{new})_temp", path.name)
                    and path.is_dir()
                ):
                    shutil.rmtree(path)
                elif re.fullmatch(rf"{new}\.(json|index|data-.*)", path.name):
                    path.unlink()

    def own_files(self) -> list[Path]:
        """Returns every file of the run, in order of the names."""
        return sorted(
            path
            for folder, names in self._own.items()
            for path in files.entries(folder)
            if names.fullmatch(path.name) and path.is_file()
        )

    def has_file(self, path: Path) -> bool:
        """Tells whether the folder holds a run, and a path is the name of one of its files."""
        names = self._own.get(path.parent)
        is_own = path == self.path / LOCK or (names and names.fullmatch(path.name))
        return bool(is_own) and self.config_path.exists()

    # ------------------------------------------------------------- an old run that is overwritten

    def check_replaceable(self):
        """Refuses to replace what is not known to be a run of gan_tf, of any version.

        Raises:
          UserError: the folder holds files with a run's names, and no config.json of gan_tf.
        """
        if os.path.lexists(self.config_path):
            self.read_config(any_format=True)
        else:
            self._check_empty()

    def replace(self) -> int:
        """Puts the new run, which waits beside the old one, in its place.

        The old config.json is the first file to go, and the new one the last to come, so that
        `settle` can finish this after a kill at any point.

        Returns:
          How many files of the old run were removed.
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
        """Finishes a replacement that was killed, unless the old run is still whole."""
        if self.new_config_path.exists() and not self.config_path.exists():
            self.replace()

    # --------------------------------------------------------------------------------- config.json

    def check(self, config: TrainConfig):
        """Refuses to go on with a run that was begun with other settings.

        Raises:
          UserError: the text names each field that differs, with both values.
        """
        if not os.path.lexists(self.config_path):
            self._check_empty()
            return
        begun, _ = self.read_config()
        differing = config.differences(begun)
        if config.epochs < begun.epochs:
            done = self._epochs_begun()
            if config.epochs < done:
                differing.append(f"`epochs` is {config.epochs}, and {done} are begun or done")
        if differing:
            raise UserError(
                f"{self.path} holds a run with other settings ({'; '.join(differing)}):"
                " use its settings, or another `run_dir`"
            )

    def _check_empty(self):
        if names := ", ".join(path.name for path in self.own_files()[:3]):
            raise UserError(
                f"{self.path} holds {names} but no config.json, so it is not known to be a run:"
                " name another `run_dir`, or move the files away"
            )

    def _epochs_begun(self):
        history = self.read_history()
        last_step = history[-1]["step"] if history else 0
        return len(history) + (self.checkpoint_steps()[:1] > [last_step])

    def is_finished(self, config: TrainConfig) -> bool:
        """Tells, without any heavy import, whether nothing is left to do for this config.

        Raises:
          UserError: as for `check`.
        """
        if not os.path.exists(self.config_path):  # unlike Path's, it never raises
            return False
        self.check(config)
        begun, _ = self.read_config()
        if (config.epochs, config.dataset) != (begun.epochs, begun.dataset):
            return False  # what is in another folder of pictures must be looked at
        history = self.read_history()
        made = (self.loss_curves_path, self.epochs_path, self.gif_path, self.report_path)
        return (
            len(history) == config.epochs
            and history[-1]["step"] in self.checkpoint_steps()
            and config.epochs in self.snapshot_epochs()
            and all(path.exists() for path in made)
        )

    def write_config(self, config: TrainConfig, environment: dict, path: Path | None = None):
        """Records the choices of the run and what it runs on; by default in config.json."""
        record = {
            "format": FORMAT,
            "config": dataclasses.asdict(config),
            "environment": environment,
        }
        with self.writing(path or self.config_path) as unfinished:
            unfinished.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    def read_config(self, any_format: bool = False) -> tuple[TrainConfig | None, dict]:
        """Returns the choices of the run, and what it was begun on.

        Args:
          any_format: find out only whether the folder holds a run of gan_tf, of any version; where
            this version does not know the format, the choices are None.

        Raises:
          UserError: there is no run in the folder, its config.json is damaged, or it is of a format
            that this version does not know.
        """
        try:
            record = json.loads(files.read_text(self.config_path))
            choices, environment = still_known(record["config"]), record["environment"]
            version, format = environment["gan_tf"], record.get("format", 1)
            known = {field.name for field in dataclasses.fields(TrainConfig)}
            unknown = choices.keys() - known
            if format in range(1, FORMAT + 1) and not unknown:
                return TrainConfig(**choices), environment
        except (FileNotFoundError, NotADirectoryError):
            message = f"`run_dir` {self.path} holds no run (it has no config.json): name another"
            raise UserError(message) from None
        except OSError as error:
            raise UserError(f"cannot read {self.config_path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else error
            raise UserError(
                f"{self.config_path} is damaged, or not of gan_tf: {reason}: bring it back from a"
                " copy, or name another `run_dir`"
            ) from error
        if any_format:
            return None, environment
        if unknown:
            reason = f"has fields that gan_tf {__version__} does not know"
            reason += f" ({', '.join(sorted(map(str, unknown)))})"
        else:
            reason = f"is of format {format}, and gan_tf {__version__} knows 1 to {FORMAT}"
        raise UserError(
            f"{self.config_path} {reason}: go on with the run's own version, gan_tf {version},"
            " or name another `run_dir`"
        )

    # -------------------------------------------------------------------------------------- tables

    def read_history(self, at_least: int = 0, columns=()) -> list[dict]:
        """Returns the rows of history.csv, one per finished epoch, the first one first.

        Args:
          at_least: how many epochs it must hold.
          columns: names that must have a value in every row.

        Raises:
          UserError: it is damaged, or something is missing.
        """
        rows = self._read_rows(self.history_path)
        if (
            rows is None
            or len(rows) < at_least
            or [row.get("epoch") for row in rows] != list(range(1, len(rows) + 1))
            or any(row.get(name) is None for row in rows for name in ("step", *columns))
        ):
            raise UserError(
                f"{self.history_path} has lost rows or columns, or is damaged: bring it back from a"
                " copy, or add `overwrite` to start again from epoch 0"
            )
        return rows

    def read_evaluation(self) -> list[dict]:
        """Returns the rows of evaluation.csv, one per evaluated epoch, in order.

        Raises:
          UserError: it is damaged.
        """
        rows = self._read_rows(self.evaluation_path)
        if rows is None or any(row.get(name) is None for row in rows for name in ("epoch", "fcd")):
            raise UserError(f"{self.evaluation_path} is damaged: remove it, or bring it back")
        return sorted(rows, key=lambda row: row["epoch"])

    def write_evaluation(self, rows: list[dict]):
        """Puts evaluation.csv in place anew."""
        with self.writing(self.evaluation_path) as unfinished:
            write_table(unfinished, rows)

    def best_evaluated_epoch(self) -> int | None:
        """Returns the epoch with the lowest FCD, even if its generator is not kept."""
        return best_epoch(self.read_evaluation())

    def best_kept_epoch(self) -> int | None:
        """Returns the epoch with the lowest FCD among those that have a snapshot."""
        kept = self.snapshot_epochs()
        return best_epoch([row for row in self.read_evaluation() if row["epoch"] in kept])

    def _read_rows(self, path):
        try:
            return read_table(path)
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, csv.Error):
            return None

    def write_history(self, rows: list[dict]):
        """Puts history.csv in place anew: the file is small, and so no row can be torn."""
        with self.writing(self.history_path) as unfinished:
            write_table(unfinished, rows)


def best_epoch(rows: list[dict]) -> int | None:
    """Returns the epoch with the lowest FCD among rows of evaluation.csv; None without rows."""
    return min(rows, key=lambda row: row["fcd"])["epoch"] if rows else None


def check_output(path, ours=()):
    """Refuses to write over a file that a run needs, or over what is no file.

    Args:
      path: the file that a user has named.
      ours: names of a run's files that the command may make anew.

    Raises:
      UserError: says what is in the way.
    """
    files.check_target(path)
    for place in Path(os.path.abspath(path)), Path(os.path.realpath(path)):
        for run in RunDir(place.parent), RunDir(place.parent.parent):
            if run.has_file(place) and place.name not in ours:
                raise UserError(f"{path} is a file of the run in {run.path}: name another `output`")


def read_table(path) -> list[dict]:
    """Returns the rows of a CSV with a header; nothing where there is no file.

    A spreadsheet may have saved it: with a byte order mark, or with semicolons between the cells
    and commas in the numbers.

    Returns:
      A dict for each row: numbers, or None where a cell is empty or no finite number.

    Raises:
      OSError: it cannot be read.
      ValueError, csv.Error: it is no such table.
    """
    try:
        text = files.read_text(path)
    except FileNotFoundError:
        return []
    lines = text.removeprefix("\ufeff").splitlines()
    semicolons = ";" in "".join(lines[:1])
    rows = []
    for cells in csv.DictReader(lines, delimiter=";" if semicolons else ","):
        if None in cells or None in cells.values():
            raise ValueError("a row is longer or shorter than the header")
        if semicolons:
            cells = {name: cell.replace(",", ".") for name, cell in cells.items()}
        rows.append({name: _value(name, cell) for name, cell in cells.items()})
    return rows


def write_table(path, rows: list[dict]):
    """Writes rows under a header of all their names; a cell is empty where a row lacks one."""
    columns = dict.fromkeys(name for row in rows for name in row)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def _value(name, cell):
    if name in _TEXTS:
        return cell or None
    number = float(cell) if cell else math.nan
    if not math.isfinite(number):
        return None
    if name not in _WHOLE_NUMBERS:
        return number
    if not number.is_integer():
        raise ValueError(f"{name} is {cell}")
    return int(number)


def _numbers(folder, pattern):
    """Maps the number in each name of a folder that fits a pattern to its path."""
    names = ((re.fullmatch(pattern, path.name), path) for path in files.entries(folder))
    return {int(match[1]): path for match, path in names if match}
