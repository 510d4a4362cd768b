"""A run as a report reads it from the run's folder."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np

from gan_tf.evaluation.variety import variety
from gan_tf.run import images
from gan_tf.run.rundir import RunDir
from gan_tf.system.errors import UserError

_LARGEST = 1e15  # far above any loss or norm, and sums of squares stay finite
_SHARES = re.compile(r"(real|fake)_(probability|accuracy)|share_.*")  # columns of 0 to 1
_CLASS_SHARE = re.compile(r"share_(0|[1-9]\d{0,3})")
_SIDE, _GAP = 28, 2  # pixels of an image, and between two images, in a grid that is not enlarged


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """One training run.

    Args:
      name: the folder's name.
      config: the run's settings, by field.
      environment: the software and hardware that the run started on.
      history: rows of history.csv, at least one. None stands for a missing value, and for one that
        no run computes: not finite, negative, absurdly large, or a share above 1.
      evaluation: rows of evaluation.csv, one for each evaluated epoch of `history`, in order.
      grids: the sample grids by epoch, each `[height, width]` uint8, not enlarged.
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
    def real_variety(self) -> float | None:
        """The variety of the training images, if the run recorded it."""
        value = self.environment.get("real_variety")
        return value if isinstance(value, float) and 0 < value <= 2 else None

    def column(self, name: str) -> list:
        """Returns a column of history.csv, with None for a missing value."""
        return [row.get(name) for row in self.history]

    def variety(self) -> dict[int, float]:
        """Returns the variety by epoch: from history.csv or, for older runs, from the grids."""
        column = {row["epoch"]: row.get("variety") for row in self.history}
        recorded = {epoch: value for epoch, value in column.items() if value is not None}
        return recorded or {
            epoch: variety(images)
            for epoch, grid in self.grids.items()
            if len(images := cells(grid)[..., None] / 127.5 - 1) > 1
        }


def read_run(path) -> Run:
    """Reads a run's folder.

    Raises:
      UserError: there is no run, it has not finished an epoch, or a file is damaged.
    """
    run = RunDir(path)
    config, environment = run.read_config()
    history = run.read_history()
    if not history and run.snapshot_epochs():
        raise UserError(f"{run.history_path} is missing or empty: restore it from a backup")
    if not history:
        raise UserError(f"{run.path} has not finished an epoch yet: report on it after the first")
    steps = [0, *(row["step"] for row in history)]
    if steps[-1] > _LARGEST or any(step <= before for before, step in zip(steps, steps[1:])):
        raise UserError(f"{run.history_path} is damaged: its steps do not rise from row to row")
    grids = {
        epoch: _small(images.read_png(path))
        for epoch, path in run.sample_paths().items()
        if 1 <= epoch <= len(history)
    }
    if len({grid.shape for grid in grids.values()}) > 1:
        raise UserError(f"{run.samples} holds grids of different sizes: remove the foreign ones")
    evaluated = {row["epoch"]: row for row in run.read_evaluation()}
    words = [Path(path).resolve().name, dataclasses.asdict(config), environment]
    # A folder's name that is not UTF-8 holds lone surrogates, which no file can store.
    words = json.dumps(words, ensure_ascii=False).encode("utf-8", "replace")
    return Run(
        *json.loads(words),
        history=[_plausible(row) for row in history],
        evaluation=[_plausible(evaluated[e]) for e in evaluated if 1 <= e <= len(history)],
        grids=grids,
    )


def cells(grid) -> np.ndarray:
    """Returns the images of a grid, `[count, 28, 28]` uint8, without black ones at its end."""
    pitch = _SIDE + _GAP
    rows, columns = (max(side - _GAP, 0) // pitch for side in grid.shape)
    found = grid[_GAP : _GAP + rows * pitch, _GAP : _GAP + columns * pitch]
    found = found.reshape(rows, pitch, columns, pitch).swapaxes(1, 2)
    found = found.reshape(rows * columns, pitch, pitch)[:, :_SIDE, :_SIDE]
    while len(found) > 1 and not found[-1].any():
        found = found[:-1]
    return found


def _small(pixels):
    """Undoes the enlargement of a grid, in which each pixel is a square."""
    zoom = images.ZOOM
    small = pixels[::zoom, ::zoom]
    enlarged = small.repeat(zoom, axis=0).repeat(zoom, axis=1)
    return small if np.array_equal(enlarged, pixels) else pixels


def _plausible(row):
    """Returns a row's numbers, with None for each that no run computes, and no unknown shares."""
    plausible = {}
    for name, value in row.items():
        unknown_share = name.startswith("share_") and not _CLASS_SHARE.fullmatch(name)
        if not isinstance(value, str) and not unknown_share:
            low = -_LARGEST if name.startswith("kid") else 0  # an unbiased estimate can be negative
            high = 1 if _SHARES.match(name) else _LARGEST
            plausible[name] = value if value is not None and low <= value <= high else None
    return plausible
