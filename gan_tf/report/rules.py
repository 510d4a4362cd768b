"""The rules of health: each looks at a run's history, and gives the reason for its threshold.

The runs that the thresholds speak of are real. *The published run* is the one in docs/results, 50
epochs with the defaults; *seed 1* its ten epochs with another seed; *the ill runs* lie in
tests/report/ill_runs.
"""

from statistics import median
from typing import NamedTuple

from gan_tf.report.signals import (
    epochs_where,
    has,
    listed,
    longest,
    slips,
    training_images,
    turning_points,
)

LEVELS = {
    "alarm": "the run failed at what it was for",
    "advice": "nothing is broken, but there is something to do",
    "note": "something happened that is worth knowing, with nothing to do",
}


class Finding(NamedTuple):
    """One thing that the history of a run tells.

    Args:
      rule: name of the rule that found it.
      level: a key of `LEVELS`.
      title: a few words.
      text: what is so, with its numbers.
      advice: what to do.
      epochs: the epochs that it rests on.
    """

    rule: str
    level: str
    title: str
    text: str
    advice: str
    epochs: list[int]


def learning_rate_too_high(run):
    """The generator's loss is beyond 16 nats in at least half of the epochs.

    16 nats mean that generated images are called real with a probability of e^-16 = 1e-7, which is
    the resolution of float32 next to 1: there is no game left. With learning rate 1e-2 all epochs
    are beyond it. A discriminator ten times as fast, at rates that are in themselves sound, goes
    there in 2 epochs of 25 and comes back; the published run stays below 1.6.
    """
    epochs = epochs_where(run, lambda row: row["generator_loss"] > 16)
    if 2 * len(epochs) >= len(run.history):
        worst = max(run.history, key=lambda row: row["generator_loss"] or 0)
        return Finding(
            "learning_rate_too_high",
            "alarm",
            "The learning rate is too high",
            f"The generator's loss reached {worst['generator_loss']:.1f} in epoch"
            f" {worst['epoch']}; in a sound run it stays below 3. Steps are so large that each"
            " network overshoots what the other one does.",
            f"Train again in another folder with a learning rate of at most a tenth of"
            f" {run.config['learning_rate']:g}; 1e-4 is the homework's.",
            epochs,
        )


def discriminator_winning(run):
    """The discriminator is right about 90 % of both kinds of images, for three epochs on end.

    Half is chance. The published run has 0.77 and 0.86 at its most lopsided (epoch 7), seed 1 0.78
    and 0.87, and both recover. A discriminator ten times as fast never falls below 0.94, and the
    generator's images stay far behind.
    """

    def ahead(row):
        return row["real_accuracy"] >= 0.9 and row["fake_accuracy"] >= 0.9

    epochs = longest(epochs_where(run, ahead))
    if len(epochs) >= 3:
        row = run.history[epochs[-1] - 1]
        at_the_end = epochs[-1] == run.last["epoch"]
        return Finding(
            "discriminator_winning",
            "alarm" if at_the_end else "note",
            "The discriminator wins"
            if at_the_end
            else "The discriminator was far ahead for a time",
            f"In epoch {row['epoch']} it is right about {row['real_accuracy']:.1%} of the real and"
            f" {row['fake_accuracy']:.1%} of the generated images. The generator gets the same"
            " answer, no, whatever it tries.",
            "Slow the discriminator down: a lower learning rate for it, if you have changed it;"
            " more training images, if there are only a few hundred."
            if at_the_end
            else "Nothing: the generator has caught up.",
            epochs,
        )


def generator_winning(run):
    """The discriminator takes most generated images for real ones, for three epochs on end.

    That is, it is right about less than 40 % of them. In the published run it is right about 0.66
    to 0.86, never below one half, as an optimal discriminator never would be.
    """
    epochs = longest(epochs_where(run, lambda row: row["fake_accuracy"] < 0.4))
    if len(epochs) >= 3:
        row = run.history[epochs[-1] - 1]
        at_the_end = epochs[-1] == run.last["epoch"]
        return Finding(
            "generator_winning",
            "alarm" if at_the_end else "note",
            "The generator wins" if at_the_end else "The generator was far ahead for a time",
            f"In epoch {row['epoch']} the discriminator is right about"
            f" {row['fake_accuracy']:.1%} of the generated images, less than by guessing. A"
            " discriminator that is fooled says nothing about what is wrong with an image.",
            "Look at the images, and do not trust the low loss. Give the discriminator more to do:"
            " a higher learning rate for it, or a lower one for the generator."
            if at_the_end
            else "Nothing: the discriminator has caught up.",
            epochs,
        )


# Mean variety of 16 training images, over 2,000 draws; 1 in 1,000 draws of Fashion-MNIST is < 0.68.
REAL_VARIETY = {"fashion_mnist": 0.82}
CLASS_NAMES = {
    "fashion_mnist": [
        *["T-shirt/top", "trouser", "pullover", "dress", "coat"],
        *["sandal", "shirt", "sneaker", "bag", "ankle boot"],
    ]
}


def collapse(run):
    """The images are less than half as far from one another as real ones, in the last three grids.

    16 real images of Fashion-MNIST are 0.82 apart, rarely below 0.68, and so are those of the
    published run from epoch 4 on (0.72 to 0.92); in its first epochs 0.57 to 0.64. Three epochs on
    6,400 images, whose losses look like a sound run's, gave one blob: 0.38. For other data sets the
    measure is the run's own best epoch. Before 300 steps, a third of the published run's first
    epoch, nothing is drawn by any run: no alarm then.
    """
    by_epoch = run.variety()
    if not by_epoch:
        return None
    real = REAL_VARIETY.get(run.config["dataset"])
    best = max(by_epoch.values())
    yardstick = real or best
    epochs = list(by_epoch)[-3:]
    values = [by_epoch[epoch] for epoch in epochs]
    if median(values) < yardstick / 2:
        kind = "real ones are" if real else f"in epoch {max(by_epoch, key=by_epoch.get)} they were"
        return Finding(
            "collapse",
            "alarm" if (run.last["step"] or 0) >= 300 else "advice",
            "The images are all alike",
            f"The images of the fixed noise are {values[-1]:.2f} apart in epoch {epochs[-1]} (root"
            f" mean square over pixels from −1 to 1); {kind} {yardstick:.2f} apart. The generator"
            " makes nearly the same image of every noise vector.",
            "Look at the grid. If the run is short, train longer: every run begins like this."
            " Otherwise lower the learning rate, or start again from another seed.",
            epochs,
        )


def missing_class(run):
    """A class has less than 1 % of the generated images, where the run was evaluated.

    With ten equally frequent classes a share is 10 %; among 10,000 images one below 1 % is no
    chance (it is 30 standard deviations off), it is a garment that the generator does not draw.
    """
    if not run.evaluation:
        return None
    row = run.evaluation[-1]
    shares = {
        name: value
        for name, value in row.items()
        if value is not None and name.startswith("share_")
    }
    names = CLASS_NAMES.get(run.config["dataset"], ())
    missing = []
    for name, share in shares.items():
        number = int(name.removeprefix("share_"))
        if share < 0.01:
            missing.append(names[number] if number < len(names) else f"class {number}")
    if missing:
        return Finding(
            "missing_class",
            "advice",
            "A class is missing",
            f"In epoch {row['epoch']} these have less than 1 % of the images: {listed(missing)}.",
            "Train longer, or start again from another seed; look whether an earlier epoch had it.",
            [row["epoch"]],
        )


def oscillation(run):
    """The generator's loss swings to and fro by a third or more, six times or more in one run.

    A swing is a way from a low to a high, or back, with a ratio of at least 4/3. The published run
    has 3 of them in 50 epochs (one slow rise and fall, and a spike), seed 1 one in ten. Six are at
    least three full periods.
    """
    turns = turning_points(run, ratio=4 / 3)
    if len(turns) > 6:  # six swings between seven turns
        shown = [f"{row['generator_loss']:.2f} in epoch {row['epoch']}" for row in turns[-4:]]
        return Finding(
            "oscillation",
            "advice",
            "The game oscillates",
            f"The generator's loss swung by a third or more {len(turns) - 1} times, last"
            f" {', '.join(shown)}. The players chase each other rather than meet.",
            "Lower the learning rate by half, or compare the images of several epochs and keep the"
            " snapshot of the best one: the last is not better than the one before it.",
            [row["epoch"] for row in turns],
        )


def spikes(run):
    """The generator's loss is one and a half times what it is before and after, or more.

    The slips of the published run, in epochs 21, 28, 42 and 43, are of 1.09 to 1.33 times; they
    heal by themselves, and part (f) tells them. A discriminator ten times as fast threw the
    generator to 3.7 times its loss, and for most of the 25 epochs it drew nothing.
    """
    epochs = slips(run, 1.5)
    if epochs:
        shown = [
            f"{run.history[epoch - 1]['generator_loss']:.2f} in epoch {epoch}" for epoch in epochs
        ]
        return Finding(
            "spikes",
            "advice",
            "The loss spikes",
            f"The generator's loss leapt to {listed(shown)}, and fell back. Images of these epochs"
            " may be striped or torn.",
            "Take no snapshot of such an epoch, but the one before or after. If it comes again and"
            " again, lower the learning rate by half.",
            epochs,
        )


def stopped_early(run):
    """The run has made fewer than 2,800 steps.

    That is three epochs of the published run, whose images are blotches until then, and whose
    variety (0.57 in epoch 3) is still well below that of real images (0.82).
    """
    step = run.last["step"]
    if step is not None and step < 2800:
        return Finding(
            "stopped_early",
            "advice",
            "The run is very short",
            f"It has made {step:,} steps (epochs: {run.last['epoch']}); with batches of 64,"
            " outlines of garments appear after about 3,800. Nothing can be said yet about how well"
            " it goes.",
            "Type the same command with more --epochs: it goes on where this run stopped.",
            [run.last["epoch"]],
        )


def unfinished(run):
    """The run has fewer epochs than were asked for."""
    done, asked = run.last["epoch"], run.config["epochs"]
    if done < asked:
        return Finding(
            "unfinished",
            "note",
            "The run is not finished",
            f"{done} of {asked} epochs are done.",
            "Type the same command again: it goes on where it was.",
            [done],
        )


def few_images(run):
    """There are fewer than 1,000 training images, 100 for each of ten classes.

    A discriminator of 213,000 weights can tell so few images from all others by heart. The ill run
    on 64 images shows it; where between 64 and 60,000 it begins depends on the data.
    """
    count = training_images(run)
    if count is not None and count < 1000:
        return Finding(
            "few_images",
            "advice",
            "There are very few training images",
            f"The run saw {count} different images. The discriminator can learn them by heart; the"
            " generator then has nothing to gain but to copy them.",
            "Train on more images: leave out --max-images.",
            [],
        )


def still_improving(run):
    """The last quarter of the run still moves: by quality if it was evaluated, else by the loss.

    Evaluated: the best distance is the last one, and 3 % below the best of all but the last
    quarter. Not evaluated: the generator's loss has moved by more than 5 % from the third quarter's
    median to the last one's. In the published run that is 1.3 %, in seed 1 4.2 %. Runs of fewer
    than eight epochs are left out: their quarters are single epochs.
    """
    rows = [row for row in run.evaluation if row.get("fcd") is not None]
    if len(rows) >= 4:
        before = min(row["fcd"] for row in rows[: -(len(rows) // 4)])
        if min(rows, key=lambda row: row["fcd"]) is rows[-1] and rows[-1]["fcd"] < 0.97 * before:
            return _still(
                f"The distance to real images (FCD) was never lower than in the last evaluated"
                f" epoch, {rows[-1]['epoch']}: {rows[-1]['fcd']:.3g}, before that {before:.3g}.",
                [rows[-1]["epoch"]],
            )
        return None
    quarter = len(run.history) // 4
    last, before = run.history[-quarter:], run.history[-2 * quarter : -quarter]
    if quarter >= 2 and has(last + before, "generator_loss"):
        now, then = (median(row["generator_loss"] for row in part) for part in (last, before))
        if abs(now - then) > 0.05 * then:
            return _still(
                f"The generator's loss moved from {then:.3f} to {now:.3f} over the last"
                f" {2 * quarter} epochs. Whether the images improve, only the images tell.",
                [row["epoch"] for row in last],
            )


def _still(text, epochs):
    return Finding(
        "still_improving",
        "advice",
        "The run has not come to rest",
        text,
        "Type the same command with more --epochs: it goes on where this run stopped.",
        epochs,
    )


RULES = (
    learning_rate_too_high,
    discriminator_winning,
    generator_winning,
    collapse,
    missing_class,
    stopped_early,
    few_images,
    unfinished,
)
# What these say, that a run goes on well or heals, would mislead about a run with an alarm.
RULES_OF_SOUND_RUNS = (oscillation, still_improving, spikes)
