"""What the rules and part (f) read from a history: images seen, leads, turns and spikes."""

import math
from statistics import median

_SMALLEST_SPIKE = 0.05
_MOST_SPIKES = 5  # that a sentence names


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


def lead(row) -> float:
    """Returns how far the discriminator is ahead: D(x) − D(G(z)), means over the epoch."""
    return row["real_probability"] - row["fake_probability"]


def turning_points(rows, ratio: float) -> list[dict]:
    """Returns the rows between which the generator's loss rises and falls, the ends included.

    Between two of them no row lies beyond both by the ratio; the run's highest and lowest loss are
    among them if these two differ by it.

    Args:
      rows: of history.csv, at least one, each with a generator's loss above 0.
      ratio: a rise or fall ends once the loss has gone back by this factor or more.
    """
    turns, low, high = [rows[0]], rows[0], rows[0]
    rising = None  # not known before the first move of this size
    for row in rows[1:]:
        loss = row["generator_loss"]
        low = row if loss < low["generator_loss"] else low
        high = row if loss > high["generator_loss"] else high
        if rising is not False and loss * ratio <= high["generator_loss"]:
            turns.append(high)
            rising, low, high = False, row, row
        elif rising is not True and loss >= ratio * low["generator_loss"]:
            turns.append(low)
            rising, low, high = True, row, row
    if rising is not None:
        turns.append(high if rising else low)
    turns.append(rows[-1])
    losses = [None, *(row["generator_loss"] for row in turns)]
    return [row for row, before in zip(turns, losses) if row["generator_loss"] != before]


def usual_change(rows) -> float:
    """Returns the median change of the generator's loss between epochs, relative, of 2 or more."""
    losses = [row["generator_loss"] for row in rows]
    return median(abs(after / before - 1) for before, after in zip(losses, losses[1:]))


def spikes(rows) -> list[list[dict]]:
    """Returns each epoch, or two on end, in which the generator's loss stands out.

    It is above the two epochs before and the two after by three times its usual change, and by 5 %
    at least. The published run's three spikes are of 9 to 24 %, and its usual change is 2.3 %.

    Args:
      rows: as for `turning_points`.
    """
    found, start = [], 2
    factor = 1 + max(_SMALLEST_SPIKE, 3 * usual_change(rows))
    while start < len(rows) - 2:
        for end in (start + 1, start + 2):
            around = rows[start - 2 : start] + rows[end : end + 2]
            highest = max(row["generator_loss"] for row in around)
            lowest = min(row["generator_loss"] for row in rows[start:end])
            if len(around) == 4 and lowest > factor * highest:
                found.append(rows[start:end])
                start = end - 1  # the two may hold a smaller one
                break
        start += 1
    return found


def spikes_in_words(rows, found) -> str:
    """Returns the sentence on spikes: where they are, how high, and by what measure.

    Args:
      rows: as for `turning_points`.
      found: of `spikes`, at least one.
    """

    def peak(spike):
        return max(row["generator_loss"] for row in spike)

    highest = sorted(found, key=peak)[-_MOST_SPIKES:]
    shown = [
        " to ".join(str(row["epoch"]) for row in spike) + f" ({peak(spike):.3f})"
        for spike in found
        if spike in highest
    ]
    several = len(found) > 1 or len(found[0]) > 1
    others = f" and {len(found) - len(shown)} more" if len(found) > len(shown) else ""
    usual = usual_change(rows)
    above = f"{max(_SMALLEST_SPIKE, 3 * usual):.1%}"
    return (
        f"The generator's loss leaps in {'epochs' if several else 'epoch'} {listed(shown)}{others}"
        f" and falls back: there it is more than {above} above the two epochs before and the two"
        f" after. From one epoch to the next it usually changes by {usual:.1%}."
    )


def epochs_as_text(epochs: list[int]) -> str:
    """Returns epochs as text, with stretches drawn together: `epochs 21, 28, 42 to 43`."""
    if not epochs:
        return "the whole run"
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
