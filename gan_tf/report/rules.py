"""The health rules: each examines a run's history, and its docstring justifies its threshold.

A rule finds nothing if the run lacks what it examines. The thresholds were set on real runs: *the
published run* (docs/results: 50 epochs with the defaults), *seed 1* (ten epochs with another seed),
and *the ill runs* (tests/report/ill_runs).
"""

import itertools
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

LEVELS = {
    "alarm": "the run failed; start again with other settings",
    "advice": "nothing failed, but more training would help",
    "note": "worth knowing; nothing needs to be done about this run",
}
FEW_EPOCHS = 8  # fewer epochs make no curve: nothing is said about its shape
_JUDGED_AFTER = 30_000  # images seen
_VARIED_AFTER = 40_000  # images seen: a run on 1,200 synthetic images became varied after 31,200
_OUTLINES_AFTER = 240_000  # images seen: epoch 4 of the published run, the first without blotches
_RESTART = "Unless these numbers are improving, start again in another folder"
_GARMENTS = (
    *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)


class Finding(NamedTuple):
    """One thing that a run's history shows.

    Args:
      rule: name of the rule.
      level: a key of `LEVELS`.
      title: a short sentence without its full stop.
      text: the facts, with numbers.
      advice: what to do.
      epochs: the epochs that show it; empty if the finding is about the length of the run.
    """

    rule: str
    level: str
    title: str
    text: str
    advice: str
    epochs: Sequence[int] = ()


def too_early(run):
    """The discriminator has seen fewer than 30,000 images.

    All runs start alike. With the defaults and 2,000 images of Fashion-MNIST per epoch, the
    discriminator is wrong about every generated image after 4,000 images. Samples use BatchNorm's
    moving averages, which start far from the true ones, so that at first all samples look the
    same: their variety rises from 0.03 to 0.37 within 20,000 images.
    """
    if run.images_seen >= _JUDGED_AFTER:
        return None
    return Finding(
        "too_early",
        "advice",
        "Too early to judge",
        f"The run has seen {counted(run.images_seen, 'image')}, counting repetitions. Before about"
        f" {_JUDGED_AFTER:,} images, even a good run can look like a bad one.",
        _resume(run),
    )


def divergence(run):
    """The generator's loss is above 16 nats in at least half of the epochs.

    A loss of 16 nats means that the discriminator calls an image real with probability
    e^-16 = 1e-7, the resolution of float32 next to 1: the game is over. With a learning rate of
    1e-2 every epoch is above it. A discriminator that is ten times faster, at sound rates, exceeds
    it in 2 of 25 epochs and recovers; the published run stays below 1.6.
    """
    above = [row for row in run.history if row["generator_loss"] > 16]
    if 2 * len(above) < len(run.history):
        return None
    flag, rate = max(_rates(run), key=lambda item: item[1])
    return Finding(
        "divergence",
        "alarm",
        "The losses have diverged",
        f"The generator's loss is above 16 in {len(above)} of"
        f" {counted(len(run.history), 'epoch')}. In the published run (docs/results.md), it stays"
        " below 1.6.",
        f"Start again in another folder with a lower {flag}: {rate / 10:g} or less.",
        [row["epoch"] for row in above],
    )


def nothing_learnt(run):
    """D(x) and D(G(z)) stay within 0.05 of each other, and the generator's loss within 10 %.

    A discriminator that learns anything soon recognises the images of an untrained generator: with
    the defaults, D(x) and D(G(z)) are 0.12 apart after 32 steps, and at least 0.12 apart in every
    epoch of the published run. With a learning rate of 1e-6 they are at most 0.04 apart during 15
    epochs of 2,000 images, and the loss falls from 0.655 to 0.629.
    """
    if len(run.history) < 3:
        return None
    losses = [row["generator_loss"] for row in run.history]
    gap = max(abs(lead(row)) for row in run.history)
    if gap >= 0.05 or max(losses) >= 1.1 * min(losses):
        return None
    flag, rate = min(_rates(run), key=lambda item: item[1])
    return Finding(
        "nothing_learnt",
        "alarm",
        "The networks learn nothing",
        "The discriminator does not distinguish real from generated images: D(x) and D(G(z))"
        f" are never more than {gap:.3f} apart.",
        f"Start again in another folder with a {flag} of {max(10 * rate, 1e-4):g}.",
        [row["epoch"] for row in run.history],
    )


def imbalance(run):
    """In the last epochs, one network is far ahead of the other.

    The discriminator is far ahead if it is right about at least 90 % of both kinds of images.
    Guessing gives 50 %; the highest values in the published run are 77 % of the real and 86 % of
    the generated images, in seed 1 78 % and 87 %, and a discriminator that is ten times faster
    stays above 94 %. The generator is far ahead if its images look more real than real ones on
    average and pass as real in more than 60 % of all cases; in the published run fewer than half
    of them ever do.
    """
    rows = _latest(run)
    if not rows:
        return None
    lowest = min(row[name] for row in rows for name in ("real_accuracy", "fake_accuracy"))
    highest = max(row["fake_accuracy"] for row in rows)
    if lowest >= 0.9:
        ahead, change = "discriminator", "below"
        text = f"is right about at least {lowest:.1%} of the real and of the generated images"
    elif highest < 0.4 and all(lead(row) < 0 for row in rows):
        ahead, change = "generator", "above"
        text = (
            f"is right about at most {highest:.1%} of the generated images, and on average takes"
            " them for more real than real ones"
        )
    else:
        return None
    _, (flag, rate) = _rates(run)
    return Finding(
        "imbalance",
        "alarm",
        f"The {ahead} is far ahead",
        f"In the last {len(rows)} epochs, the discriminator {text}. D(x) − D(G(z)) is"
        f" {lead(rows[0]):.3f} in epoch {rows[0]['epoch']} and {lead(rows[-1]):.3f} in epoch"
        f" {rows[-1]['epoch']}.",
        f"{_RESTART} with a {flag} {change} {rate:g}.",
        [row["epoch"] for row in rows],
    )


def collapse(run):
    """In the last epochs, the images vary less than a third as much as the training images.

    The variety of the published run is 0.57 to 0.64 in its first epochs and 0.72 to 0.92 from
    epoch 4 on; that of the training images is 0.80. A generator that is ten times faster than the
    discriminator, and draws the same patch of pixels sixteen times, has 0.17.
    """
    real, rows = run.real_variety, _latest(run)
    epochs = [row["epoch"] for row in rows]
    values = [row.get("variety") for row in rows]
    if not real or not rows or None in values or run.images_seen < _VARIED_AFTER:
        return None
    if max(values) >= real / 3:
        return None
    remedy = (
        "with another --seed; if it happens again, with half the --learning-rate"
        if run.config["discriminator_learning_rate"] is None
        else "without --discriminator-learning-rate"
    )
    return Finding(
        "collapse",
        "alarm",
        "The images are all alike",
        f"In the last {len(epochs)} epochs, the images vary less than a third as much as the"
        f" training images. The mean distance between two generated images is {values[0]:.3f}"
        f" in epoch {epochs[0]} and {values[-1]:.3f} in epoch {epochs[-1]}; between two"
        f" training images it is {real:.3f} (root mean square over pixels from −1 to 1).",
        f"{_RESTART} {remedy}.",
        epochs,
    )


def missing_classes(run):
    """In the last evaluation, a class has less than a tenth of its share, or most images have none.

    A tenth of the share of ten equally frequent classes is 1 %. Among 10,000 images that cannot be
    chance (30 standard deviations): the generator does not draw that garment. If more than half of
    the images belong to no class, as in the first three epochs, the shares mean nothing.
    """
    row = run.evaluation[-1] if run.evaluation else {}
    shares = [row[name] for name in row if name.startswith("share_")]
    unclaimed = row.get("unclaimed_share")
    if not shares or None in (*shares, unclaimed):
        return None
    is_fashion_mnist = run.config["dataset"] == "fashion_mnist"
    names = _GARMENTS if is_fashion_mnist else [f"class {i}" for i in range(len(shares))]
    threshold = 0.1 / len(shares)
    missing = [name for name, share in zip(names, shares) if share < threshold]
    if unclaimed > 0.5:
        title = "Most images belong to no class"
        text = (
            f"{unclaimed:.0%} of the images belong to no class: each of them is stranger than 99%"
            " of the test images"
        )
    elif missing:
        title = "Some classes are missing"
        text = f"fewer than {threshold:.1%} of the images belong to each of: {', '.join(missing)}"
    else:
        return None
    text = f"In epoch {row['epoch']}, {text}."
    return Finding("missing_classes", "advice", title, text, _resume(run), [row["epoch"]])


def short_training(run):
    """Requested epochs are missing, or the run is short, or its images are still improving.

    A run is short before the four epochs after which the published run draws outlines instead of
    blotches. Images are still improving if the last FCD is more than 3 % below the best of at
    least three earlier ones.
    """
    done, requested, seen = run.last["epoch"], run.config["epochs"], run.images_seen
    distances = [row["fcd"] for row in run.evaluation]
    if done < requested:
        title, text = "The run is not finished", f"{done} of {requested} epochs are done."
    elif seen < _OUTLINES_AFTER:
        title = "The run is short"
        text = (
            f"It has seen {counted(seen, 'image')}, counting repetitions. In the published run"
            " (docs/results.md), on Fashion-MNIST, outlines of garments appear after about"
            f" {_OUTLINES_AFTER:,}."
        )
    elif len(distances) > 3 and distances[-1] < 0.97 * min(distances[:-1]):
        title = "The images are still improving"
        text = (
            f"The distance to real images (FCD) is {distances[-1]:.3g} in the last evaluated epoch;"
            f" the lowest before that is {min(distances[:-1]):.3g}."
        )
    else:
        return None
    return Finding("short_training", "advice", title, text, _resume(run))


def loss_spikes(run):
    """The generator's loss stands out for an epoch or two.

    A spike is above the median of the seven epochs around it by more than four times the median
    change from epoch to epoch, and by more than 5 %. In the published run the threshold is 9.3 %:
    epochs 21, 28, 42 and 43 are 11 to 33 % above the median (see docs/results.md), and no other
    epoch is more than 7 % above it. Seed 1 has no spike. The first and last three epochs are not
    judged.
    """
    rows, losses = run.history, [row["generator_loss"] for row in run.history]
    if len(rows) < FEW_EPOCHS or min(losses) == 0:  # changes from 0 have no scale
        return None
    change = median(abs(after / before - 1) for before, after in itertools.pairwise(losses))
    threshold = max(0.05, 4 * change)
    found = [
        rows[i]
        for i in range(3, len(rows) - 3)
        if losses[i] > (1 + threshold) * median(losses[i - 3 : i + 4])
    ]
    if not found:
        return None
    spikes = ["{generator_loss:.3f} in epoch {epoch}".format_map(row) for row in found]
    remedy = " A new run with --beta-1 0.5 may have none." * (run.config["beta_1"] > 0.5)
    return Finding(
        "loss_spikes",
        "note",
        "The generator's loss has spikes",
        f"The generator's loss is more than {threshold:.1%} above its median over the seven"
        f" surrounding epochs: {', '.join(spikes)}.",
        "Choose a snapshot from another epoch: images around a spike may be striped or torn"
        f" (docs/results.md).{remedy}",
        [row["epoch"] for row in found],
    )


def counted(count: int, noun: str) -> str:
    """Returns a count with its noun: `1 image`, `2,000 images`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def lead(row) -> float:
    """Returns how far the discriminator is ahead: D(x) − D(G(z)), means over the epoch."""
    return row["real_probability"] - row["fake_probability"]


def _latest(run):
    """Returns the last tenth of the rows, but at least three; no rows if there are fewer."""
    count = max(3, len(run.history) // 10)
    return run.history[-count:] if len(run.history) >= count else []


def _rates(run):
    """Returns the learning rates of generator and discriminator, each with its flag."""
    rate, other = run.config["learning_rate"], run.config["discriminator_learning_rate"]
    return ("--learning-rate", rate), ("--discriminator-learning-rate", other or rate)


def _resume(run):
    more = "again" if run.last["epoch"] < run.config["epochs"] else "with more --epochs"
    return f"Run the same command {more}: it resumes where the run stopped."


RULES = (  # those that raise an alarm, those with advice, and those with a note
    divergence,
    nothing_learnt,
    imbalance,
    collapse,
    missing_classes,
    short_training,
    loss_spikes,
)


def findings(run) -> list[Finding]:
    """Returns the findings on a run, the most important one first.

    Findings never contradict each other. If it is too early to judge a run, that is the only
    finding. An alarm, whose remedy is to start again, also stands alone. Otherwise there is advice,
    which is always to train longer, and there are notes.

    Args:
      run: a `Run`.
    """
    if early := too_early(run):
        return [early]
    found = [finding for rule in RULES if (finding := rule(run))]
    return found[:1] if found and found[0].level == "alarm" else found
