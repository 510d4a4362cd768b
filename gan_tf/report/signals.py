"""What the rules and part (f) read out of a history: turns, slips, stretches of epochs."""

from statistics import median


def turning_points(run, ratio: float) -> list[dict]:
    """Returns the rows where the generator's loss turned, the first and the last row included.

    Args:
      ratio: a turn counts once the loss has gone back by this factor or more.
    """
    rows = [row for row in run.history if row.get("generator_loss")]
    if not rows:
        return []
    turns, low, high, direction = [rows[0]], rows[0], rows[0], 0
    for row in rows[1:]:
        loss = row["generator_loss"]
        low = row if loss < low["generator_loss"] else low
        high = row if loss > high["generator_loss"] else high
        if direction >= 0 and loss * ratio <= high["generator_loss"]:
            turns.append(high)
            direction, low, high = -1, row, row
        elif direction <= 0 and loss >= ratio * low["generator_loss"]:
            turns.append(low)
            direction, low, high = 1, row, row
    turns.append(rows[-1])
    # The first turn may be the first row itself, the last one the last.
    return [row for index, row in enumerate(turns) if index == 0 or row is not turns[index - 1]]


def training_images(run) -> int | None:
    """Returns how many images an epoch has, as its duration and its speed tell."""
    seconds, speed = run.last.get("seconds"), run.last.get("images_per_second")
    return round(seconds * speed) if seconds and speed else run.config["max_images"]


def has(rows, *names) -> bool:
    """Tells whether every row has a value under every name."""
    return all(row.get(name) is not None for row in rows for name in names)


def epochs_where(run, condition) -> list[int]:
    """Returns the epochs whose rows fulfil a condition on the loss and the accuracies."""
    names = ("generator_loss", "real_accuracy", "fake_accuracy")
    return [row["epoch"] for row in run.history if has([row], *names) and condition(row)]


def longest(epochs) -> list[int]:
    """Returns the longest stretch of epochs without a gap, the last one of several."""
    best, current = [], []
    for epoch in epochs:
        current = current + [epoch] if current and epoch == current[-1] + 1 else [epoch]
        best = current if len(current) >= len(best) else best
    return best


def listed(words) -> str:
    """Returns words as a sentence lists them: a, b and c."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def slips(run, ratio: float) -> list[int]:
    """Returns the epochs in which the generator's loss leapt, and its spread within the epoch too.

    It is so many times the median of the three epochs before and that of the three after it, and
    has 1.4 times their standard deviation. Both are needed: the turning point of the published run,
    in epoch 7, is 7 % above but no wilder than its neighbours; epoch 27 is wilder but no higher.

    Args:
      ratio: how many times, > 1.
    """
    epochs = []
    rows = run.history
    for index, row in enumerate(rows):
        sides = [rows[max(0, index - 3) : index], rows[index + 1 : index + 4]]
        near = sides[0] + sides[1]
        if min(map(len, sides)) < 2 or not has(
            [row, *near], "generator_loss", "generator_loss_std"
        ):
            continue
        level = max(median(other["generator_loss"] for other in side) for side in sides)
        spread = median(other["generator_loss_std"] for other in near)
        if row["generator_loss"] > ratio * level and row["generator_loss_std"] > 1.4 * spread:
            epochs.append(row["epoch"])
    return epochs
