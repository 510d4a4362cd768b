"""How a report writes epochs, counts, rates and lists."""

import itertools


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
