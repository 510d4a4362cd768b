"""The curves of a page: numbers to the points of SVG lines. The template draws them."""

import math
from typing import NamedTuple

WIDTH, HEIGHT = 480, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 14, 30

# title, what it tells, levels of chance, and (column, label, colour) of each line
_CHARTS = (
    (
        "Losses",
        "nats, means over an epoch; dashed lines: chance, ln 2 and 2 ln 2",
        (math.log(2), 2 * math.log(2)),
        (
            ("generator_loss", "generator", "generator"),
            ("discriminator_loss", "discriminator", "discriminator"),
        ),
    ),
    (
        "D(x) and D(G(z))",
        "how probable the discriminator finds it that an image is real; dashed line: cannot tell",
        (0.5,),
        (
            ("real_probability", "D(x), real images", "discriminator"),
            ("fake_probability", "D(G(z)), generated images", "generator"),
        ),
    ),
    (
        "How often the discriminator is right",
        "share of the images of each kind; dashed line: guessing",
        (0.5,),
        (
            ("real_accuracy", "real images", "discriminator"),
            ("fake_accuracy", "generated images", "generator"),
        ),
    ),
    (
        "Gradient norms",
        "Euclidean norm over all weights, mean over an epoch",
        (),
        (
            ("generator_gradient_norm", "generator", "generator"),
            ("discriminator_gradient_norm", "discriminator", "discriminator"),
        ),
    ),
    (
        "Variety",
        "mean distance between two generated images",
        (),
        (("variety", "generated images", "generator"),),
    ),
    (
        "Distance to real images",
        "FCD, lower is better; the floor is that of real images to real images",
        (),
        (("fcd", "FCD", "generator"), ("fcd_floor", "floor", "discriminator")),
    ),
)


class Line(NamedTuple):
    """A line of a chart: its points as SVG text, and its value in every epoch or None."""

    label: str
    colour: str
    dash: int
    points: str
    values: list


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
    """Returns the charts for which a run has numbers; several runs lie over each other."""
    last = max(run.last["epoch"] for run in runs)
    drawn = []
    for title, caption, levels, series in _CHARTS:
        found = [
            (run_label(runs, index, label), colour, index, by_epoch)
            for index, run in enumerate(runs)
            for column, label, colour in series
            if (by_epoch := _by_epoch(run, column))
        ]
        if found:
            drawn.append(_chart(title, caption, levels, found, last))
    return drawn


def run_label(runs, index, label):
    """Returns the label of a line; it names the run where there are several."""
    return label if len(runs) == 1 else f"{label} ({'ABCDEFGH'[index]})"


def x_of(epoch, last):
    """Returns where an epoch lies across a chart."""
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * (epoch - 1) / max(last - 1, 1)


def _by_epoch(run, column):
    if column == "variety":
        return run.variety()
    rows = run.evaluation if column.startswith("fcd") else run.history
    return {row["epoch"]: row[column] for row in rows if row.get(column) is not None}


def _chart(title, caption, levels, found, last):
    values = [value for *_, by_epoch in found for value in by_epoch.values()]
    low, high = min([*values, *levels]), max([*values, *levels])
    margin = 0.06 * (high - low) or 0.1 * abs(high) or 0.1
    low, high = low - margin, high + margin

    def y_of(value):
        return _TOP + (HEIGHT - _TOP - _BOTTOM) * (high - value) / (high - low)

    lines = []
    for label, colour, dash, by_epoch in found:
        epochs = sorted(by_epoch)
        points = " ".join(f"{x_of(e, last):.1f},{y_of(by_epoch[e]):.1f}" for e in epochs)
        every = [by_epoch.get(epoch) for epoch in range(1, last + 1)]
        lines.append(Line(label, colour, dash, points, every))
    told = "; ".join(
        f"{label} from {by_epoch[min(by_epoch)]:.3g} to {by_epoch[max(by_epoch)]:.3g}"
        for label, _, _, by_epoch in found
    )
    return Chart(
        title,
        caption,
        f"{title} over {last} epochs: {told}",
        lines,
        [y_of(level) for level in levels],
        [(y_of(tick), f"{tick:.4g}") for tick in _ticks(low, high)],
        [(x_of(e, last), str(e)) for e in _epoch_ticks(last)],
    )


def _ticks(low, high):
    """Returns three to six round numbers between two numbers."""
    size = 10 ** math.floor(math.log10((high - low) / 3))
    step = max((s for s in (size, 2 * size, 5 * size) if (high - low) / s >= 3), default=size)
    first = math.ceil(low / step)
    return [round(n * step, 10) for n in range(first, math.floor(high / step) + 1)]


def _epoch_ticks(last):
    step = next(s * 10**n for n in range(9) for s in (1, 2, 5) if last / (s * 10**n) <= 6)
    return sorted({1, *range(step, last + 1, step)} - ({step} if step == 2 else set()))
