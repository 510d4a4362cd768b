"""What a report reads from a run's folder, and nothing that the folder does not hold."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np

from gan_tf.evaluation.variety import variety
from gan_tf.run import images
from gan_tf.run.rundir import RunDir
from gan_tf.system.errors import UserError

_LARGEST = 1e15  # no loss or norm comes near it; sums of squares stay finite
_SHARES = re.compile(r"(real|fake)_(probability|accuracy)|share_.*")  # columns of 0 to 1
_CLASS_SHARE = re.compile(r"share_(0|[1-9]\d{0,3})")
_SIDE, _GAP = 28, 2  # of an image, and between two, in a grid that is not enlarged


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run, as its files tell it.

    Args:
      name: the folder's name.
      config: the choices of the run, by field.
      environment: what it was begun on.
      history: rows of history.csv, at least one; None for a value that is missing, or that no run
        computes: not finite, negative, absurdly large, or a share above 1.
      evaluation: rows of evaluation.csv, one for each evaluated epoch of `history`, in order; empty
        where there is none.
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
        """The variety of the training images, where the run has recorded it."""
        value = self.environment.get("real_variety")
        return value if isinstance(value, float) and 0 < value <= 2 else None

    def column(self, name: str) -> list:
        """Returns a column of history.csv; None where a value is missing."""
        return [row.get(name) for row in self.history]

    def variety(self) -> dict[int, float]:
        """Returns the variety by epoch: the column of history.csv, else that of the grids."""
        column = {row["epoch"]: row.get("variety") for row in self.history}
        if any(value is not None for value in column.values()):
            return {epoch: value for epoch, value in column.items() if value is not None}
        return {
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
    shapes = {grid.shape for grid in grids.values()}
    if len(shapes) > 1:
        raise UserError(f"{run.samples} holds grids of different sizes: remove the foreign ones")
    evaluated = {row["epoch"]: row for row in run.read_evaluation()}
    words = [Path(path).resolve().name, dataclasses.asdict(config), environment]
    # Half a surrogate, as in a folder's name that is not UTF-8, could not be written anywhere.
    words = json.dumps(words, ensure_ascii=False).encode("utf-8", "replace")
    name, config, environment = json.loads(words)
    return Run(
        name=name,
        config=config,
        environment=environment,
        history=[_plausible(row) for row in history],
        evaluation=[_plausible(evaluated[e]) for e in evaluated if 1 <= e <= len(history)],
        grids=grids,
    )


def cells(grid) -> np.ndarray:
    """Cuts a grid into its images, `[count, 28, 28]` uint8; black cells at its end are none."""
    pitch = _SIDE + _GAP
    rows, columns = grid.shape[0] // pitch, grid.shape[1] // pitch
    cut = grid[_GAP : _GAP + rows * pitch, _GAP : _GAP + columns * pitch]
    cut = np.pad(cut, [(0, rows * pitch - cut.shape[0]), (0, columns * pitch - cut.shape[1])])
    cut = cut.reshape(rows, pitch, columns, pitch).swapaxes(1, 2).reshape(-1, pitch, pitch)
    found = cut[:, :_SIDE, :_SIDE]
    while len(found) > 1 and not found[-1].any():
        found = found[:-1]
    return found


def _small(pixels):
    """Undoes the enlargement of a grid: a run writes every pixel as a square of three by three."""
    small = pixels[::3, ::3]
    enlarged = small.repeat(3, axis=0).repeat(3, axis=1)
    return small if np.array_equal(enlarged, pixels) else pixels


def _plausible(row):
    """Returns a row with None for each number that no run computes, without shares of no class."""
    plausible = {}
    for name, value in row.items():
        if isinstance(value, str) or (
            name.startswith("share_") and not _CLASS_SHARE.fullmatch(name)
        ):
            continue
        low = -_LARGEST if name.startswith("kid") else 0  # an unbiased estimate may be negative
        high = 1 if _SHARES.match(name) else _LARGEST
        plausible[name] = value if value is not None and low <= value <= high else None
    return plausible
