"""A run as a report reads it from the run's folder."""

import dataclasses
import math
from pathlib import Path

import numpy as np

from gan_tf.config import GRID_COUNT
from gan_tf.evaluation.variety import variety
from gan_tf.run import images
from gan_tf.run.rundir import RunDir
from gan_tf.system.errors import UserError

_SIDE = 28  # of an image; the rest is that of a run's grid before it is enlarged
_COLUMNS = math.isqrt(GRID_COUNT)
_PITCH = _SIDE + images.GAP
_GRID_SIDE = _PITCH * _COLUMNS + images.GAP
# Columns of history.csv in the runs of every version. The first four are shares, from 0 to 1.
_SHARES = ("real_probability", "fake_probability", "real_accuracy", "fake_accuracy")
_AMOUNTS = (
    *("generator_loss", "discriminator_loss"),
    *("generator_gradient_norm", "discriminator_gradient_norm"),
    *("seconds", "images_per_second"),
)
_REAL_VARIETY = {"fashion_mnist": 0.80}  # for older runs, which did not record it


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """One training run.

    Args:
      name: the folder's name.
      config: the run's settings, by field.
      environment: the software and hardware that the run started on.
      history: rows of history.csv, at least one. `variety` is measured on the grid, or None, if
        an older version did not record it; `fcd` and `fcd_floor` are those of evaluation.csv.
      evaluation: rows of evaluation.csv, one for each evaluated epoch of `history`, in order.
      grids: the sample grids by epoch, each `[122, 122]` uint8, not enlarged.
    """

    name: str
    config: dict
    environment: dict
    history: list[dict]
    evaluation: list[dict]
    grids: dict[int, np.ndarray]

    @property
    def last(self) -> dict:
        """The last row of history.csv."""
        return self.history[-1]

    @property
    def settings(self) -> dict:
        """Everything that is recorded about the run's beginning."""
        return self.config | self.environment

    @property
    def training_images(self) -> int:
        """The images in an epoch, computed from its duration and speed."""
        return round(self.last["seconds"] * self.last["images_per_second"])

    @property
    def images_seen(self) -> int:
        """How many real images the discriminator has seen, counting repetitions."""
        return self.last["epoch"] * self.training_images

    @property
    def real_variety(self) -> float | None:
        """The variety of the training images: recorded by the run, or known for its data set."""
        value = self.environment.get("real_variety")
        if isinstance(value, float) and 0 < value <= 2:
            return value
        return _REAL_VARIETY.get(self.config["dataset"])

    def by_epoch(self, column: str) -> dict[int, float]:
        """Returns the values of a column of `history` that are not missing."""
        known = {row["epoch"]: row.get(column) for row in self.history}
        return {epoch: value for epoch, value in known.items() if value is not None}


def read_run(path) -> Run:
    """Reads a run's folder.

    Raises:
      UserError: there is no run, it has not finished an epoch, or a file is damaged.
    """
    run = RunDir(path)
    config, environment = run.read_config()
    history = run.read_history(columns=_SHARES + _AMOUNTS)
    if not history and run.snapshot_epochs():
        raise UserError(f"{run.history_path} is missing or empty: restore it from a backup")
    if not history:
        raise UserError(f"{run.path} has not finished an epoch yet: report on it after the first")
    steps, epochs = history[-1]["step"], len(history)
    if max(run.checkpoint_steps(), default=0) >= steps + steps // epochs:
        raise UserError(f"{run.history_path} has lost rows: restore it from a backup")
    evaluation = [row for row in run.read_evaluation() if 1 <= row["epoch"] <= len(history)]
    _check(run.history_path, history)
    _check(run.evaluation_path, evaluation)
    grids = {
        epoch: _grid(path)
        for epoch, path in run.sample_paths().items()
        if 1 <= epoch <= len(history)
    }
    for epoch, grid in grids.items():
        if history[epoch - 1].get("variety") is None:
            history[epoch - 1]["variety"] = variety(cells(grid)[..., None] / 127.5 - 1)
    for row in evaluation:
        history[row["epoch"] - 1] |= {name: row.get(name) for name in ("fcd", "fcd_floor")}
    # A folder's name that is not UTF-8 holds lone surrogates, which JSON must not hold.
    name = Path(path).resolve().name.encode("utf-8", "replace").decode()
    return Run(name, dataclasses.asdict(config), environment, history, evaluation, grids)


def cells(grid) -> np.ndarray:
    """Returns the images of a grid, `[16, 28, 28]` uint8."""
    rows = grid[images.GAP :, images.GAP :].reshape(_COLUMNS, _PITCH, _COLUMNS, _PITCH)
    return rows.swapaxes(1, 2).reshape(-1, _PITCH, _PITCH)[:, :_SIDE, :_SIDE]


def _grid(path):
    """Reads a grid, and undoes its enlargement, in which each pixel is a square."""
    grid = images.read_png(path)[:: images.ZOOM, :: images.ZOOM]
    if grid.shape != (_GRID_SIDE, _GRID_SIDE):
        raise UserError(f"{path} is not a grid of this run: remove it")
    return grid


def _check(path, rows):
    """Refuses a table with a value that no run computes."""
    for row in rows:
        for name, value in row.items():
            is_share = name in _SHARES or name.startswith(("share_", "unclaimed_share"))
            if is_share or name in (*_AMOUNTS, "step", "variety", "fcd", "fcd_floor"):
                if value is not None and not 0 <= value <= (1 if is_share else math.inf):
                    raise UserError(
                        f"{path} is damaged: {name} is {value:g} in epoch {row['epoch']}:"
                        " restore it from a backup"
                    )
