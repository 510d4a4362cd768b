"""The rules of health: each looks at a run's history, and gives the reason for its threshold.

They stand in order of weight; `gan_tf.report.health` chooses among what they find. The runs that
the thresholds speak of are real. *The published run* is the one in docs/results, 50 epochs with the
defaults; *seed 1* its ten epochs with another seed; *the ill runs* lie in tests/report/ill_runs.
"""

from typing import NamedTuple

from gan_tf.report.signals import (
    FEW_EPOCHS,
    counted,
    has,
    images_seen,
    latest,
    lead,
    listed,
    number,
    spikes,
    spikes_in_words,
)

LEVELS = {
    "alarm": "the run failed: start again with other settings",
    "advice": "nothing failed, but more training would help",
    "note": "worth knowing, with nothing to do about this run",
}
UNKNOWN = "unknown"  # a rule's answer where the history does not hold what it looks at
JUDGED_AFTER = 30_000  # images seen
_VARIED_AFTER = 40_000  # images seen: a run on 1,200 synthetic ones became varied after 31,200
_OUTLINES_AFTER = 240_000  # images seen: epoch 4 of the published run, the first without blotches
# Between images of Fashion-MNIST, for runs that did not record it when they began.
_REAL_VARIETY = {"fashion_mnist": 0.80}
_CLASS_NAMES = {
    "fashion_mnist": [
        *["T-shirt/top", "trouser", "pullover", "dress", "coat"],
        *["sandal", "shirt", "sneaker", "bag", "ankle boot"],
    ]
}
_PROBABILITIES = ("real_probability", "fake_probability")
_ACCURACIES = ("real_accuracy", "fake_accuracy")


class Finding(NamedTuple):
    """One thing that the history of a run shows.

    Args:
      rule: name of the rule that found it.
      level: a key of `LEVELS`.
      title: a short sentence without its full stop.
      text: what is so, with its numbers.
      advice: what to do.
      epochs: the epochs that it rests on; none if it is about the run's length.
    """

    rule: str
    level: str
    title: str
    text: str
    advice: str
    epochs: list[int]


def too_early(run):
    """The discriminator has seen fewer than 30,000 images.

    Every run begins alike. With the defaults and 2,000 images of Fashion-MNIST an epoch, the
    discriminator is right about none of the generated images after 4,000 images seen. Images are
    drawn with BatchNorm's averages, which begin far from the images' own, so that all look the
    same: the variety is 0.03 at first, and 0.37 after 20,000.
    """
    seen = images_seen(run)
    if seen is not None and seen < JUDGED_AFTER:
        return Finding(
            "too_early",
            "advice",
            "Too early to judge",
            f"The run has seen {counted(seen, 'image')}, repetitions included. Until about"
            f" {JUDGED_AFTER:,} even a good run can look like a bad one.",
            _resume(run),
            [],
        )


def divergence(run):
    """The generator's loss is above 16 nats in at least half of the epochs.

    16 nats are the loss of an image that is called real with a probability of e^-16 = 1e-7, which
    is the resolution of float32 next to 1: there is no game left. With learning rate 1e-2 all
    epochs are above it. A discriminator ten times as fast, at rates that are in themselves sound,
    goes there in 2 epochs of 25 and comes back; the published run stays below 1.6.
    """
    if not has(run.history, "generator_loss"):
        return UNKNOWN
    above = [row for row in run.history if row["generator_loss"] > 16]
    if 2 * len(above) >= len(run.history):
        worst = max(above, key=lambda row: row["generator_loss"])
        flag, rate = max(_rates(run), key=lambda item: item[1])
        return Finding(
            "divergence",
            "alarm",
            "The losses have diverged",
            f"The generator's loss is above 16 in {len(above)} of"
            f" {counted(len(run.history), 'epoch')}, and highest in epoch {worst['epoch']}:"
            f" {worst['generator_loss']:.1f}. In the published run (docs/results.md) it stays below"
            " 1.6.",
            f"Start again in another folder with a lower {flag}: {number(rate / 10)} or less.",
            [row["epoch"] for row in above],
        )


def nothing_learnt(run):
    """In all epochs D(x) and D(G(z)) are within 0.05, and the generator's loss within a tenth.

    A discriminator tells the images of an untrained generator from real ones as soon as it learns
    anything: with the defaults D(x) and D(G(z)) are 0.12 apart after 32 steps, 0.17 in epoch 1 of
    the published run, and at least 0.12 in every later one. With learning rate 1e-6 they are at
    most 0.04 apart in 15 epochs of 2,000 images, and the loss falls from 0.655 to 0.629.
    """
    if len(run.history) < 3 or not has(run.history, "generator_loss", *_PROBABILITIES):
        return UNKNOWN
    losses = [row["generator_loss"] for row in run.history]
    gap = max(abs(lead(row)) for row in run.history)
    if gap < 0.05 and max(losses) < 1.1 * min(losses):
        flag, rate = min(_rates(run), key=lambda item: item[1])
        usual = ": the assignment's is 1e-4" if rate < 1e-4 else ""
        return Finding(
            "nothing_learnt",
            "alarm",
            "Nothing is learnt",
            f"The discriminator does not tell real images from generated ones: D(x) and D(G(z)) are"
            f" never further apart than {gap:.3f}. The generator's loss stays between"
            f" {min(losses):.3f} and {max(losses):.3f}.",
            f"Start again in another folder with a higher {flag} than {number(rate)}{usual}.",
            run.column("epoch"),
        )


def imbalance(run):
    """In the last epochs one network is far ahead of the other.

    The discriminator: it is right about 90 % of the real images and of the generated ones. Half is
    chance; the published run has 0.77 and 0.86 at its most lopsided (epoch 7), seed 1 0.78 and
    0.87, and a discriminator ten times as fast never falls below 0.94. Or the generator: its images
    are found more real than real ones on average, and taken for real in 60 % of all cases; in the
    published run never in half of them.
    """
    rows = latest(run)
    if not rows or not has(rows, *_PROBABILITIES, *_ACCURACIES):
        return UNKNOWN
    lowest = min(row[name] for row in rows for name in _ACCURACIES)
    highest = max(row["fake_accuracy"] for row in rows)
    if lowest >= 0.9:
        ahead, rather = "discriminator", "lower"
        text = f"is right about at least {lowest:.1%} of the real images and of the generated ones"
    elif highest < 0.4 and all(lead(row) < 0 for row in rows):
        ahead, rather = "generator", "higher"
        text = (
            f"is right about at most {highest:.1%} of the generated images, and finds them more"
            " real than real ones"
        )
    else:
        return None
    _, (flag, rate) = _rates(run)
    before, now = lead(rows[0]), lead(rows[-1])
    return _lasting_or_not(
        run,
        "imbalance",
        abs(now) > 0.9 * abs(before),
        f"The {ahead} is far ahead",
        f"In the last {len(rows)} epochs the discriminator {text}. D(x) − D(G(z)) is {before:.3f}"
        f" in epoch {rows[0]['epoch']} and {now:.3f} in epoch {rows[-1]['epoch']}.",
        f"with a {rather} {flag} than {number(rate)}",
        [row["epoch"] for row in rows],
    )


def collapse(run):
    """In the last epochs images are less than a third as varied as the training images.

    Images of the published run are at 0.57 to 0.64 in its first epochs, at 0.72 to 0.92 from epoch
    4 on; training images at 0.80. A generator ten times as fast as the discriminator, whose images
    are one heap of pixels in sixteen places, is at 0.17.
    """
    real = run.real_variety or _REAL_VARIETY.get(run.config["dataset"])
    by_epoch, epochs = run.variety(), [row["epoch"] for row in latest(run)]
    values = [by_epoch.get(epoch) for epoch in epochs]
    if not real or not epochs or None in values or (images_seen(run) or 0) < _VARIED_AFTER:
        return UNKNOWN
    if max(values) < real / 3:
        other_rate = run.config["discriminator_learning_rate"] is not None
        return _lasting_or_not(
            run,
            "collapse",
            values[-1] < 1.1 * values[0],
            "The images are all alike",
            f"In the last {len(epochs)} epochs images vary less than a third as much as training"
            f" images. On average, two generated images are {values[0]:.3f} apart in epoch"
            f" {epochs[0]} and {values[-1]:.3f} in epoch {epochs[-1]}, two training images"
            f" {real:.3f} (root mean square over pixels from −1 to 1).",
            "without --discriminator-learning-rate"
            if other_rate
            else "with another --seed; if it happens again, with half the --learning-rate",
            epochs,
        )


def missing_classes(run):
    """In the last evaluation a class has less than a tenth of its share, or most images have none.

    With ten equally frequent classes a tenth of the share is 1 %: among 10,000 images that is no
    chance (30 standard deviations off), it is a garment that the generator does not draw. Where
    more than half of the images are of no class, as in the first three epochs, shares mean nothing.
    """
    row = run.evaluation[-1] if run.evaluation else {}
    shares = [row[name] for name in row if name.startswith("share_")]
    unclaimed = row.get("unclaimed_share")
    if not shares or None in (*shares, unclaimed):
        return UNKNOWN
    names = _CLASS_NAMES.get(run.config["dataset"], [f"class {index}" for index in range(1000)])
    few = 0.1 / len(shares)
    missing = [name for name, share in zip(names, shares) if share < few]
    if unclaimed > 0.5:
        title = "Most images are of no class"
        text = (
            f"{unclaimed:.0%} of the images are of no class: stranger than 99% of the test images"
        )
    elif missing:
        title = "Not all classes are drawn"
        text = f"fewer than {100 * few:.3g}% of the images are of each of these: {listed(missing)}"
    else:
        return None
    text = f"In epoch {row['epoch']}, {text}."
    return Finding("missing_classes", "advice", title, text, _resume(run), [row["epoch"]])


def short_training(run):
    """Epochs that were asked for are missing; or the run is short; or its images still improve.

    Short is less than the four epochs after which the published run draws outlines and not
    blotches. Images still improve if the last evaluated distance to real ones is 3 % below the best
    before it, of three or more.
    """
    done, asked, seen = run.last["epoch"], run.config["epochs"], images_seen(run)
    distances = [row["fcd"] for row in run.evaluation if row.get("fcd") is not None]
    if done < asked:
        title, text = "The run is not finished", f"{done} of {asked} epochs are done."
    elif seen is not None and seen < _OUTLINES_AFTER:
        title = "The run is short"
        text = (
            f"It has seen {counted(seen, 'image')}, repetitions included. In the published run"
            " (docs/results.md), on Fashion-MNIST, outlines of garments appear after about"
            f" {_OUTLINES_AFTER:,}."
        )
    elif len(distances) > 3 and distances[-1] < 0.97 * min(distances[:-1]):
        title = "The images still improve"
        text = (
            f"The distance to real images (FCD) is {distances[-1]:.3g} in the last evaluated epoch,"
            f" and {min(distances[:-1]):.3g} or more in those before it."
        )
    else:
        return None
    return Finding("short_training", "advice", title, text, _resume(run), [])


def loss_spikes(run):
    """The generator's loss stands out for an epoch or two: see `gan_tf.report.signals.spikes`.

    The published run has three such spikes, which docs/results.md looks into, seed 1 none.
    """
    if len(run.history) < FEW_EPOCHS or not has(run.history, "generator_loss"):
        return UNKNOWN
    if text := spikes_in_words(run.history):
        remedy = " A new run with --beta-1 0.5 may have none." * (run.config["beta_1"] > 0.5)
        return Finding(
            "loss_spikes",
            "note",
            "The loss spikes",
            text,
            "Choose a snapshot of another epoch: images around a spike may be striped or torn"
            f" (docs/results.md).{remedy}",
            [row["epoch"] for row in spikes(run.history)[0]],
        )


def _rates(run):
    """Returns the generator's and the discriminator's learning rate, each with its flag."""
    rate, other = run.config["learning_rate"], run.config["discriminator_learning_rate"]
    return ("--learning-rate", rate), ("--discriminator-learning-rate", other or rate)


def _lasting_or_not(run, rule, lasts, title, text, remedy, epochs):
    """Returns an alarm if a fault lasts, advice if it has shrunk by a tenth."""
    if lasts:
        return Finding(
            rule, "alarm", title, text, f"Start again in another folder {remedy}.", epochs
        )
    title += ", but less so than before"
    return Finding(rule, "advice", title, text, _resume(run), epochs)


def _resume(run):
    if run.last["epoch"] < run.config["epochs"]:
        return "Type the same command again: it resumes where the run stopped."
    return "Type the same command with more --epochs: it resumes where the run stopped."


RULES = (
    divergence,
    nothing_learnt,
    imbalance,
    collapse,
    missing_classes,
    short_training,
    loss_spikes,
)
