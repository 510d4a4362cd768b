"""The plots of a run's tables: the losses, and the quality of the images."""

import math

import matplotlib
from matplotlib.figure import Figure

_BLUE, _VERMILION, _GREY = "#0072b2", "#d55e00", "#666666"  # colour-blind-safe: Okabe and Ito


def write(path, plot, *arguments):
    """Writes what `plot` returns for these arguments as a PNG file."""
    with matplotlib.rc_context(matplotlib.rcParamsDefault):  # not the user's own style
        plot(*arguments).savefig(path, format="png")


def plot_loss_curves(history, marked_epochs=()) -> Figure:
    """Plots the losses of both networks over all epochs.

    Args:
      history: rows of history.csv as dicts, at least one; losses in nats, averaged over the epoch.
      marked_epochs: epochs to mark; those after the last row are left out.
    """
    figure, axes, epochs = _over_epochs(history, 4.8)
    legend = []
    for network, colour, terms, level, name in [
        ("discriminator", _BLUE, " (real and generated term added)", 2 * math.log(2), "2 ln 2"),
        ("generator", _VERMILION, "", math.log(2), "ln 2"),
    ]:
        mean = [row[f"{network}_loss"] for row in history]
        spread = [row[f"{network}_loss_std"] for row in history]
        low = [m - s for m, s in zip(mean, spread)]
        high = [m + s for m, s in zip(mean, spread)]
        (line,) = axes.plot(epochs, mean, color=colour, marker=".")
        band = axes.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
        if len(epochs) == 1:  # the band has no width
            axes.vlines(epochs, low, high, color=colour, alpha=0.4)
        chance = axes.axhline(level, color=colour, linestyle="--", linewidth=1)
        text = f"{name} = {level:.3f}: {network} loss if the discriminator always answers 1/2"
        legend += [
            ((line, band), f"{network} loss{terms} ± standard deviation of the steps"),
            (chance, text),
        ]
    marks = [
        axes.axvline(epoch, color=_GREY, linestyle=":", linewidth=1)
        for epoch in marked_epochs
        if epoch <= epochs[-1]
    ]
    legend += [(mark, "epochs with a snapshot of the generator") for mark in marks[:1]]
    axes.set_title("Losses of both networks")
    axes.set_ylabel("cross-entropy (nats), epoch mean")
    figure.legend(*zip(*legend), loc="outside lower left", fontsize="small", frameon=False)
    return figure


def plot_quality(rows) -> Figure:
    """Plots the Fréchet classifier distance and its floor over the epochs.

    Args:
      rows: of evaluation.csv as dicts, at least one.
    """
    figure, axes, epochs = _over_epochs(rows, 4)
    distances, floor = ([row.get(name) for row in rows] for name in ("fcd", "fcd_floor"))
    axes.plot(epochs, distances, color=_VERMILION, marker=".", label="generated images")
    axes.plot(epochs, floor, color=_GREY, linestyle="--", label="training images: the floor")
    axes.set_ylim(bottom=0)
    axes.set_title("Distance of the images to the test images (lower is better)")
    axes.set_ylabel("Fréchet classifier distance (FCD)")
    axes.legend(frameon=False)
    return figure


def _over_epochs(rows, height):
    """Returns a figure, its axes with ticks at whole epochs, and the epochs of the rows."""
    figure = Figure(figsize=(8, height), dpi=120, layout="constrained")
    axes, epochs = figure.add_subplot(), [row["epoch"] for row in rows]
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    if len(epochs) == 1:
        axes.set_xticks(epochs)
    return figure, axes, epochs
