"""What the rules and part (f) read from a history: images seen, leads and spikes."""

import itertools
import math
from statistics import median

FEW_EPOCHS = 8  # fewer make no curve: nothing is said about its course
FEW_IMAGES = 1000  # so few may be learnt by heart; the 64 of the ill run tiny_data_set were


def training_images(run) -> int | None:
    """Returns how many images an epoch has, from its duration and speed; None if unknown."""
    seconds, speed = run.last.get("seconds"), run.last.get("images_per_second")
    return round(seconds * speed) if seconds and speed else None


def images_seen(run) -> int | None:
    """Returns how many real images the discriminator has seen, repetitions included."""
    if count := training_images(run):
        return run.last["epoch"] * count
    return run.last["step"] and run.last["step"] * run.config["batch_size"]


def has(rows, *names) -> bool:
    """Returns whether every row has a value under every name."""
    return all(row.get(name) is not None for row in rows for name in names)


def latest(run) -> list[dict]:
    """Returns the last tenth of the rows, at least three; none if there are fewer."""
    count = max(3, len(run.history) // 10)
    return run.history[-count:] if len(run.history) >= count else []


def lead(row) -> float:
    """Returns how far the discriminator is ahead: D(x) − D(G(z)), means over the epoch."""
    return row["real_probability"] - row["fake_probability"]


def spikes(rows) -> tuple[list[dict], float]:
    """Returns the rows whose generator loss stands out from the seven around it, and by how much.

    That is from their median, by four times the median change from epoch to epoch, 5 % at least. In
    the published run that is 9.3 %: epochs 21, 28, 42 and 43 are 11 to 33 % above it, and no other
    more than 7 %. The three epochs at either end have no seven around them.

    Args:
      rows: of history.csv, eight or more, each with a generator's loss.
    """
    losses = [row["generator_loss"] for row in rows]
    if min(losses) <= 0:
        return [], 0.0  # an edited table
    change = median(abs(after / before - 1) for before, after in itertools.pairwise(losses))
    factor = max(0.05, 4 * change)
    inner = range(3, len(rows) - 3)
    found = [i for i in inner if losses[i] > (1 + factor) * median(losses[i - 3 : i + 4])]
    return [rows[i] for i in found], factor


def spikes_in_words(rows) -> str:
    """Returns the sentence on `spikes`, if there are any, else no text."""
    found, factor = spikes(rows)
    if not found:
        return ""
    shown = listed([f"{row['epoch']} ({row['generator_loss']:.3f})" for row in found])
    epochs, around = ("epochs", "each") if len(found) > 1 else ("epoch", "it")
    return (
        f"The generator's loss stands out in {epochs} {shown}: more than {factor:.1%} above the"
        f" median of the seven epochs around {around}."
    )


def epochs_as_text(epochs: list[int]) -> str:
    """Returns epochs as text, with stretches drawn together: `epochs 21, 28, 42 to 43`."""
    parts, first = [], epochs[0]
    for epoch, following in zip(epochs, [*epochs[1:], math.inf]):
        if following != epoch + 1:
            parts.append(f"{first} to {epoch}" if first != epoch else f"{epoch}")
            first = following
    return ("epoch " if len(epochs) == 1 else "epochs ") + ", ".join(parts)


def counted(count: int, noun: str) -> str:
    """Returns a count with its noun: 1 image, 2,000 images."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def number(value: float) -> str:
    """Returns a learning rate as one types it: 0.0001, 1e-6."""
    return f"{value:g}".replace("e-0", "e-")


def listed(words) -> str:
    """Returns words as a sentence lists them: a, b and c."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
