"""What the rules and the text read from a run's history, and how they write numbers."""

import itertools
from statistics import median

FEW_EPOCHS = 8  # fewer epochs make no curve: nothing is said about its shape


def latest(run) -> list[dict]:
    """Returns the last tenth of the rows, but at least three; no rows if there are fewer."""
    count = max(3, len(run.history) // 10)
    return run.history[-count:] if len(run.history) >= count else []


def lead(row) -> float:
    """Returns how far the discriminator is ahead: D(x) − D(G(z)), means over the epoch."""
    return row["real_probability"] - row["fake_probability"]


def spikes(rows) -> tuple[list[int], str]:
    """Returns the epochs in which the generator's loss spikes, and a sentence about them.

    A spike is above the median of the seven epochs around it by more than four times the median
    change from epoch to epoch, and by more than 5 %. In the published run the threshold is 9.3 %:
    epochs 21, 28, 42 and 43 are 11 to 33 % above the median, and no other epoch is more than 7 %
    above it. The first and last three epochs are not judged.
    """
    losses = [row["generator_loss"] for row in rows]
    if len(rows) < FEW_EPOCHS or min(losses) == 0:  # changes from 0 have no scale
        return [], ""
    change = median(abs(after / before - 1) for before, after in itertools.pairwise(losses))
    threshold = max(0.05, 4 * change)
    found = [
        rows[i]
        for i in range(3, len(rows) - 3)
        if losses[i] > (1 + threshold) * median(losses[i - 3 : i + 4])
    ]
    if not found:
        return [], ""
    epochs = listed([f"{row['epoch']} ({row['generator_loss']:.3f})" for row in found])
    return [row["epoch"] for row in found], (
        f"In epoch{'s' * (len(found) > 1)} {epochs}, the generator's loss is more than"
        f" {threshold:.1%} above its median over the seven surrounding epochs."
    )


def epochs_as_text(epochs) -> str:
    """Returns epochs as text, with consecutive ones as a range: `epochs 21, 28, 42 to 43`."""
    parts = []
    for _, group in itertools.groupby(enumerate(epochs), lambda item: item[1] - item[0]):
        stretch = [epoch for _, epoch in group]
        parts.append(f"{stretch[0]} to {stretch[-1]}" if len(stretch) > 1 else f"{stretch[0]}")
    return ("epoch " if len(epochs) == 1 else "epochs ") + ", ".join(parts)


def counted(count: int, noun: str) -> str:
    """Returns a count with its noun: `1 image`, `2,000 images`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def number(value: float) -> str:
    """Returns a learning rate as a user types it: `0.0001`, `1e-6`."""
    return f"{value:g}".replace("e-0", "e-")


def listed(words) -> str:
    """Returns words as a list in a sentence: `a, b and c`."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
