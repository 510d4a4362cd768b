"""The curves of a page: numbers to the points of SVG lines. The template draws them."""

import itertools
import math
from typing import NamedTuple

WIDTH, HEIGHT = 480, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 22, 14, 30  # margins of the axes
LETTERS = "ABCDEFGH"  # of the runs on one page
_FLATTENED = 20  # times its usual value: a line that goes so far would flatten all others
_BEYOND_CUT = 0.6  # room for what is logarithmic, next to that for what is not
_LINE_HEIGHT = 12  # of the letters at the ends of the lines


class _Kind(NamedTuple):
    """What a chart shows: its lines, columns with their labels, and levels to compare them with.

    The axis includes `bounds`; with two of them it is linear, whatever the values.
    """

    title: str
    caption: str
    columns: dict
    levels: tuple = ()
    bounds: tuple = (0,)


_KINDS = (
    _Kind(
        "Losses",
        "nats, means over an epoch; dashed grey: chance, ln 2 and 2 ln 2",
        {"generator_loss": "generator", "discriminator_loss": "discriminator"},
        levels=(math.log(2), 2 * math.log(2)),
        bounds=(),
    ),
    _Kind(
        "D(x) and D(G(z))",
        "how probable the discriminator finds an image to be real; dashed grey: it cannot tell",
        {"real_probability": "D(x), real images", "fake_probability": "D(G(z)), generated images"},
        levels=(0.5,),
        bounds=(0, 1),
    ),
    _Kind(
        "How often the discriminator is right",
        "share of the images of each kind; dashed grey: guessing",
        {"real_accuracy": "real images", "fake_accuracy": "generated images"},
        levels=(0.5,),
        bounds=(0, 1),
    ),
    _Kind(
        "Gradient norms",
        "Euclidean norm over all weights, mean over an epoch",
        {
            "generator_gradient_norm": "generator",
            "discriminator_gradient_norm": "discriminator",
        },
    ),
    _Kind(
        "Variety",
        "mean distance between two generated images",
        {"variety": "generated images"},
        bounds=(0, 1),
    ),
    _Kind(
        "Distance to real images",
        "FCD, lower is better; the floor is that of real images to real images",
        {"fcd": "FCD", "fcd_floor": "floor"},
        bounds=(0, 1),
    ),
)
_OF_THE_DISCRIMINATOR = ("discriminator", "real", "fcd_floor")  # columns in its colour


class Line(NamedTuple):
    """A line of a chart.

    Args:
      run, series: their places.
      label: of the series.
      style: classes of the page's style sheet.
      segments: SVG points of each stretch without a missing value; a lone point has no space.
      values: in every epoch, or None.
      end: where the line ends, with room for the run's letter.
    """

    run: int
    series: int
    label: str
    style: str
    segments: list[str]
    values: list
    end: tuple[float, float]


class Chart(NamedTuple):
    """A chart, in the coordinates of an SVG of WIDTH x HEIGHT."""

    title: str
    caption: str
    alt: str
    lines: list[Line]
    levels: list[float]
    y_ticks: list[tuple[float, str]]
    x_ticks: list[tuple[float, str]]


def charts(runs) -> list[Chart]:
    """Returns the charts for which a run has numbers; several runs lie over each other.

    There are none before the second epoch: a point is no curve.
    """
    last = max(run.last["epoch"] for run in runs)
    drawn = []
    for kind in _KINDS if last > 1 else ():
        found = [
            (index, column, by_epoch)
            for index, run in enumerate(runs)
            for column in kind.columns
            if _values(by_epoch := _by_epoch(run, column))
        ]
        if found:
            if kind.title == "Variety":
                kind = _with_real_varieties(kind, runs)
            drawn.append(_chart(kind, found, last, len(runs) > 1))
    return drawn


def x_of(epoch, last):
    """Returns where an epoch lies across a chart."""
    return LEFT + (WIDTH - LEFT - RIGHT) * (epoch - 1) / max(last - 1, 1)


def _by_epoch(run, column):
    if column == "variety":
        return run.variety()
    rows = run.evaluation if column.startswith("fcd") else run.history
    return {row["epoch"]: row.get(column) for row in rows}


def _values(by_epoch):
    return [value for value in by_epoch.values() if value is not None]


def _with_real_varieties(kind, runs):
    """Adds the variety of the training images as a level, where runs have recorded it."""
    levels = tuple(dict.fromkeys(run.real_variety for run in runs if run.real_variety))
    if not levels:
        return kind
    words = " and ".join(f"{level:.2f}" for level in levels)
    return kind._replace(
        levels=levels, caption=f"{kind.caption}; dashed grey: two training images, {words}"
    )


def _chart(kind, found, last, several):
    values = [value for *_, by_epoch in found for value in _values(by_epoch)]
    cut = _cut(kind, values)
    shown = [*values, *kind.levels, *kind.bounds, *([0] if cut else [])]
    low, high = min(shown), max(shown)

    def scale(value):
        if not cut or value <= cut:
            return value
        return cut * (1 + _BEYOND_CUT * math.log(value / cut) / math.log(high / cut))

    bottom, top = scale(low), scale(high)
    margin = 0.06 * (top - bottom) or 0.1 * abs(top) or 0.1
    bottom, top = bottom - margin, top + margin

    def y_of(value):
        return TOP + (HEIGHT - TOP - BOTTOM) * (top - scale(value)) / (top - bottom)

    lines = []
    for run, column, by_epoch in found:
        series = list(kind.columns).index(column)
        if several:
            style = f"run-{LETTERS[run]}" + " second" * series
        else:
            is_real = column.startswith(_OF_THE_DISCRIMINATOR)
            style = "discriminator" if is_real else "generator"
        places = {
            epoch: value if value is None else (x_of(epoch, last), y_of(value))
            for epoch, value in sorted(by_epoch.items())
        }
        segments = [
            " ".join(f"{x:.1f},{y:.1f}" for x, y in stretch)
            for there, stretch in itertools.groupby(places.values(), bool)
            if there
        ]
        end = [place for place in places.values() if place][-1]
        every = [by_epoch.get(epoch) for epoch in range(1, last + 1)]
        lines.append(Line(run, series, kind.columns[column], style, segments, every, end))
    ticks = _ticks(bottom, cut or top) + (_powers(cut, high) if cut else [])
    return Chart(
        kind.title,
        kind.caption + (f"; logarithmic above {cut:g}" if cut else ""),
        f"{kind.title} over {last} epochs: " + "; ".join(_in_words(kind, found, several)),
        _apart(lines),
        [y_of(value) for value in kind.levels],
        [(y_of(tick), f"{tick:.4g}".replace("e+0", "e").replace("e+", "e")) for tick in ticks],
        [(x_of(e, last), str(e)) for e in _epoch_ticks(last)],
    )


def _cut(kind, values):
    """Returns where the scale becomes logarithmic, None where it need not.

    It is for a run that diverged beside sound ones, or late: what is usual keeps most of the room.
    """
    usual = max(*kind.levels, sorted(values)[len(values) // 4], 1e-9)
    if len(kind.bounds) < 2 and _FLATTENED * usual < max(values):
        return float(f"{2 * usual:.0e}")
    return None


def _in_words(kind, found, several):
    for run, column, by_epoch in found:
        values = _values(by_epoch)
        name = f"{LETTERS[run]}, " * several + kind.columns[column]
        yield f"{name} from {values[0]:.3g} to {values[-1]:.3g}"


def _apart(lines):
    """Moves the letters of lines that end together so far apart that each can be read."""
    moved, before = [], (0, 0)
    for line in sorted(lines, key=lambda line: line.end):
        x, y = line.end
        if x == before[0]:
            y = max(y, before[1] + _LINE_HEIGHT)
        before = x, y
        moved.append(line._replace(end=before))
    return sorted(moved)


def _ticks(low, high):
    """Returns three to six round numbers between two numbers."""
    size = 10 ** math.floor(math.log10((high - low) / 3))
    step = max((s for s in (size, 2 * size, 5 * size) if (high - low) / s >= 3), default=size)
    first = math.ceil(low / step)
    return [float(f"{n * step:.10g}") for n in range(first, math.floor(high / step) + 1)]


def _powers(cut, high):
    """Returns at most two powers of ten, well beyond the cut."""
    first = math.ceil(math.log10(cut) + 0.2 * math.log10(high / cut))
    exponents = range(first, math.floor(math.log10(high)) + 1)
    return [10.0**exponent for exponent in exponents[:: -(-len(exponents) // 2) or 1]]


def _epoch_ticks(last):
    step = next(s * 10**n for n in range(9) for s in (1, 2, 5) if last / (s * 10**n) <= 6)
    return sorted({1, *range(step, last + 1, step)} - ({step} if step == 2 else set()))
