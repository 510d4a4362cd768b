"""The charts of a page: from numbers to the points of SVG lines, which the template draws."""

import itertools
import math
from typing import NamedTuple

from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 480, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 22, 14, 30  # margins of the axes
LETTERS = "ABCDEFGH"  # the runs on one page
_OUTLIER = 20  # times the usual value: a linear axis up to there would flatten all other lines
_LETTER_HEIGHT = 12  # of the run's letter at the end of a line
_ROUND = {"steps": [1, 2, 5, 10], "min_n_ticks": 3}


class _Kind(NamedTuple):
    """What a chart shows: lines by column with their labels, and levels for comparison.

    The axis includes `bounds`; with two bounds it is always linear.
    """

    title: str
    caption: str
    columns: dict
    levels: tuple = ()
    bounds: tuple = (0, 1)


_KINDS = (
    _Kind(
        "Losses",
        "in nats, averaged over the epoch; dashed grey: ln 2 and 2 ln 2, if D(x) = D(G(z)) = 1/2",
        {"generator_loss": "generator", "discriminator_loss": "discriminator"},
        levels=(math.log(2), 2 * math.log(2)),
        bounds=(),
    ),
    _Kind(
        "D(x) and D(G(z))",
        "probability of being real, according to the discriminator; dashed grey: undecided",
        {"real_probability": "D(x), real images", "fake_probability": "D(G(z)), generated images"},
        levels=(0.5,),
    ),
    _Kind(
        "How often the discriminator is right",
        "share of the images of each kind; dashed grey: guessing",
        {"real_accuracy": "real images", "fake_accuracy": "generated images"},
        levels=(0.5,),
    ),
    _Kind(
        "Gradient norms",
        "Euclidean norm over all weights, averaged over the epoch",
        {"generator_gradient_norm": "generator", "discriminator_gradient_norm": "discriminator"},
        bounds=(0,),
    ),
    _Kind("Variety", "mean distance between two generated images", {"variety": "generated images"}),
    _Kind(
        "Distance to real images",
        "FCD, lower is better; the floor is the distance between real images and real images",
        {"fcd": "FCD", "fcd_floor": "floor"},
    ),
)


class Line(NamedTuple):
    """A line of a chart."""

    run: int  # index
    column: str
    label: str  # of the column
    style: str  # CSS classes
    segments: list[str]  # SVG points of each stretch without a missing value


class Chart(NamedTuple):
    """A chart, in the coordinates of an SVG of WIDTH x HEIGHT."""

    title: str
    caption: str
    alt: str
    lines: list[Line]
    letters: list[tuple[float, float, str]]  # of the runs, at the ends of the lines
    levels: list[float]
    y_ticks: list[tuple[float, str]]
    x_ticks: list[tuple[float, str]]


def charts(runs) -> list[Chart]:
    """Returns the charts for which a run has numbers, with all runs in each.

    There are none before the second epoch, as one point makes no curve.
    """
    last = max(run.last["epoch"] for run in runs)
    return [chart for kind in _KINDS if last > 1 and (chart := _chart(kind, runs, last))]


def _chart(kind, runs, last):
    """Returns a chart, or None if no run has numbers for it."""
    found = [
        (index, column, by_epoch)
        for index, run in enumerate(runs)
        for column in kind.columns
        if (by_epoch := run.by_epoch(column))
    ]
    if not found:
        return None
    levels, caption = kind.levels, kind.caption
    if kind.title == "Variety" and (levels := sorted({run.real_variety for run in runs} - {None})):
        numbers = " and ".join(f"{level:.2f}" for level in levels)
        caption += f"; dashed grey: between two training images, {numbers}"
    values = [value for *_, by_epoch in found for value in by_epoch.values()]
    y_of, y_ticks, note = _vertical_axis(values, levels, kind.bounds)

    def x_of(epoch):
        return LEFT + (WIDTH - LEFT - RIGHT) * (epoch - 1) / (last - 1)

    lines, ends, descriptions = [], [], []
    for run, column, by_epoch in found:
        label = name = kind.columns[column]
        if len(runs) > 1:
            name = f"{LETTERS[run]}, {label}"
            style = f"run-{LETTERS[run]}" + " second" * (column != next(iter(kind.columns)))
        else:
            is_real = column.startswith(("discriminator", "real", "fcd_floor"))
            style = "discriminator" if is_real else "generator"
        places = {epoch: (x_of(epoch), y_of(value)) for epoch, value in by_epoch.items()}
        segments = [
            " ".join("{:.1f},{:.1f}".format(*places[epoch]) for epoch in epochs)
            for has_values, epochs in itertools.groupby(range(1, last + 1), places.__contains__)
            if has_values
        ]
        lines.append(Line(run, column, label, style, segments))
        ends.append((*places[max(places)], LETTERS[run]))
        values = [*by_epoch.values()]
        descriptions.append(f"{name} from {values[0]:.3g} to {values[-1]:.3g}")
    x_ticks = {1, *map(int, MaxNLocator(6, integer=True, **_ROUND).tick_values(1, last))}
    return Chart(
        kind.title,
        caption + note,
        f"{kind.title} over {last} epochs: " + "; ".join(descriptions),
        lines,
        _separated(ends) if len(runs) > 1 else [],
        [y_of(level) for level in levels],
        [(y_of(tick), f"{tick:.4g}".replace("e+0", "e").replace("e+", "e")) for tick in y_ticks],
        [(x_of(tick), str(tick)) for tick in sorted(x_ticks) if 1 <= tick <= last],
    )


def _vertical_axis(values, levels, bounds):
    """Returns a function from a value to its vertical place, the ticks, and a note.

    The axis is logarithmic if a run diverged.
    """
    usual = max(*levels, sorted(values)[len(values) // 4], 1e-9)
    is_log = len(bounds) < 2 and max(values) > _OUTLIER * usual
    floor = float(f"{usual / 1000:.0e}")

    def scale(value):
        return math.log10(max(value, floor)) if is_log else value

    shown = [scale(value) for value in (*values, *levels, *(() if is_log else bounds))]
    margin = 0.06 * (max(shown) - min(shown)) or 0.1
    bottom, top = min(shown) - margin, max(shown) + margin

    def y_of(value):
        return TOP + (HEIGHT - TOP - BOTTOM) * (top - scale(value)) / (top - bottom)

    ticks = MaxNLocator(5, integer=is_log, **_ROUND).tick_values(bottom, top)
    ticks = [10.0**tick if is_log else tick for tick in ticks if bottom <= tick <= top]
    return y_of, ticks, f"; logarithmic above {floor:g}" * is_log


def _separated(ends):
    """Moves the letters of lines that end together apart, so that each can be read."""
    letters = []
    for x, y, letter in sorted(ends):
        if letters and letters[-1][0] == x:
            y = max(y, letters[-1][1] + _LETTER_HEIGHT)
        letters.append((x, y, letter))
    return letters
