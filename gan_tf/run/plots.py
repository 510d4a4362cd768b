"""The loss curves of a run."""

import math

import matplotlib
from matplotlib.figure import Figure

_BLUE, _VERMILION, _GREY = "#0072b2", "#d55e00", "#666666"  # colour-blind-safe: Okabe and Ito


def write_loss_curves(path, history, marked_epochs):
    """Plots the losses of both networks over all epochs into a PNG file; see `plot_loss_curves`."""
    with matplotlib.rc_context(matplotlib.rcParamsDefault):  # not the user's own style
        plot_loss_curves(history, marked_epochs).savefig(path, format="png")


def plot_loss_curves(history, marked_epochs=()) -> Figure:
    """Plots the losses of both networks over all epochs.

    Args:
      history: rows of history.csv as dicts, at least one; losses in nats, averaged over the epoch.
      marked_epochs: epochs to mark; those after the last row are left out.
    """
    figure = Figure(figsize=(8, 4.8), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    epochs = [row["epoch"] for row in history]
    legend = []
    for network, colour, terms, level in [
        ("discriminator", _BLUE, " (real and generated term added)", 2 * math.log(2)),
        ("generator", _VERMILION, "", math.log(2)),
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
        name = "2 ln 2" if terms else "ln 2"
        legend += [
            ((line, band), f"{network} loss{terms} ± standard deviation of the steps"),
            (
                chance,
                f"{name} = {level:.3f}: {network} loss if the discriminator always answers 1/2",
            ),
        ]
    for epoch in marked_epochs:
        if epoch <= epochs[-1]:
            mark = axes.axvline(epoch, color=_GREY, linestyle=":", linewidth=1)
            if epoch == marked_epochs[0]:
                legend.append((mark, "epochs with a snapshot of the generator"))
    axes.set_title("Losses of both networks")
    axes.set_ylabel("cross-entropy (nats), epoch mean")
    _set_epoch_ticks(axes, epochs)
    figure.legend(*zip(*legend), loc="outside lower left", fontsize="small", frameon=False)
    return figure


def write_quality(path, rows):
    """Plots the Fréchet classifier distance and its floor over the epochs into a PNG file.

    Args:
      path: the file.
      rows: of evaluation.csv as dicts, at least one.
    """
    with matplotlib.rc_context(matplotlib.rcParamsDefault):
        figure = Figure(figsize=[8, 4], dpi=120, layout="constrained")
        axes = figure.add_subplot()
        epochs = [row["epoch"] for row in rows]
        label = "generated images"
        axes.plot(epochs, [row["fcd"] for row in rows], color=_VERMILION, marker=".", label=label)
        floor = [row.get("fcd_floor") for row in rows]
        label = "training images: the floor"
        axes.plot(epochs, floor, color=_GREY, linestyle="--", label=label)
        axes.set_ylim(bottom=0)
        axes.set_title("Distance of the images to the test images (lower is better)")
        axes.set_ylabel("Fréchet classifier distance (FCD)")
        _set_epoch_ticks(axes, epochs)
        axes.legend(frameon=False)
        figure.savefig(path, format="png")


def _set_epoch_ticks(axes, epochs):
    """Puts ticks at whole epochs only, even if there is a single one."""
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    if len(epochs) == 1:
        axes.set_xticks(epochs)
