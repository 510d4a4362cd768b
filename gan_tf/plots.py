"""The loss curves of a run."""

import math

from matplotlib.figure import Figure

_BLUE, _VERMILION, _GREY = "#0072b2", "#d55e00", "#666666"  # colour-blind-safe: Okabe and Ito


def write_loss_curves(path, history, marked_epochs):
    """Draws the losses of both networks over all epochs into a PNG.

    Args:
      path: the file.
      history: rows of history.csv as dicts, at least one; losses in nats, means over the epoch.
      marked_epochs: epochs to mark; those beyond the last row are left out.
    """
    figure = Figure(figsize=[8, 4.5], dpi=120, layout="constrained")
    axes = figure.add_subplot()
    epochs = [row["epoch"] for row in history]
    for network, colour in [("discriminator", _BLUE), ("generator", _VERMILION)]:
        mean = [row[f"{network}_loss"] for row in history]
        spread = [row[f"{network}_loss_std"] for row in history]
        low = [m - s for m, s in zip(mean, spread)]
        high = [m + s for m, s in zip(mean, spread)]
        axes.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(epochs, mean, color=colour, marker=".", label=f"{network} loss")
    for level, name in [(math.log(2), "ln 2"), (2 * math.log(2), "2 ln 2")]:
        axes.axhline(level, color=_GREY, linestyle="--", linewidth=1)
        axes.annotate(
            f" {name}",
            [1, level],
            xycoords=("axes fraction", "data"),
            color=_GREY,
            verticalalignment="center",
        )
    for epoch in marked_epochs:
        if epoch <= epochs[-1]:
            axes.axvline(epoch, color=_GREY, linestyle=":", linewidth=1)
    axes.set_title("Losses of both networks; dashed: a discriminator that cannot tell")
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss (nats), mean ± standard deviation")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    figure.savefig(path, format="png")
