"""Every sentence of a report is checked against the run's tables.

`CLAIMS` holds each sentence that a report may contain, its values as expressions in braces, and the
condition under which it is true. These share no code with the report. A sentence that is not among
them is an error.
"""

import argparse
import dataclasses
import functools
import re

import numpy as np
import pytest
from claims import check_claims, claims
from helpers import ILL_RUNS, ROOT

from gan_tf.commands import COMMANDS
from gan_tf.config import RECIPES, TrainConfig
from gan_tf.report import Run, findings, read_run, story
from gan_tf.run.rundir import RunDir

PAIR = ("real_probability", "fake_probability")
RIGHT = ("real_accuracy", "fake_accuracy")
GARMENTS = "T-shirt/top,trouser,pullover,dress,coat,sandal,shirt,sneaker,bag,ankle boot".split(",")
SET = {"fashion_mnist": "Fashion-MNIST", "synthetic": "synthetic garments"}
highest_published = max(
    row["generator_loss"] for row in RunDir(ROOT / "docs" / "results").read_history()
)


def facts(run):
    """Returns what the claims rest on, by name: settings, columns as arrays, and other values."""
    epochs, requested = len(run.history), run.config["epochs"]
    g, d, real, fake, right_real, right_fake, variety, seconds, speed, step = (
        np.array([row.get(name) for row in run.history], float)
        for name in (
            *("generator_loss", "discriminator_loss", *PAIR, *RIGHT),
            *("variety", "seconds", "images_per_second", "step"),
        )
    )
    gap = real - fake
    widest, highest, lowest = abs(gap).argmax(), g.argmax(), g.argmin()
    many = epochs >= 8  # enough to describe a curve
    images = round((speed * seconds)[-1])
    seen = images * epochs
    last = max(3, epochs // 10)
    begin = epochs - last + 1  # of the last tenth
    worst_right = np.min([right_real[-last:], right_fake[-last:]])
    real_variety = run.environment.get("real_variety") or (
        0.8 if run.config["dataset"] == "fashion_mnist" else np.nan
    )
    rate = run.config["learning_rate"]
    rates = {
        "learning": rate,
        "discriminator-learning": run.config["discriminator_learning_rate"] or rate,
    }
    opposite = int(np.sum(np.sign(np.diff(g)) * np.sign(np.diff(d)) == -1))
    factor, spikes = 0, []
    if many:
        factor = max(0.05, 4 * np.median(np.abs(g[1:] / g[:-1] - 1)))
        sevens = np.lib.stride_tricks.sliding_window_view(g, 7)
        above = np.flatnonzero(g[3:-3] > (1 + factor) * np.median(sevens, axis=1))
        spikes = [f"{g[index + 3]:.3f} in epoch {index + 4}" for index in above]
    evaluated = run.evaluation[-1] if run.evaluation else {}
    unclaimed = evaluated.get("unclaimed_share", np.nan)
    names = GARMENTS if run.config["dataset"] == "fashion_mnist" else None
    missing = [
        names[index] if names else f"class {index}"
        for index in range(10)
        if evaluated.get(f"share_{index}", 1) < 0.01
    ]
    *distances, distance = [row["fcd"] for row in run.evaluation] or [None]
    all_settings = functools.partial(says_all_settings, run.config)
    return run.config | locals()


def counted(count, noun):
    return f"{count:,} {noun}" + "s" * (count != 1)


def says_all_settings(config, flags):
    """Parses the flags as the command does: with the data set, they are all."""
    parser = argparse.ArgumentParser()
    add_flags, _ = COMMANDS["train"]
    add_flags(parser)
    flags = flags.replace(", ", " ").split() if flags != "none" else []
    given = vars(parser.parse_args(flags))
    choices = {"dataset": config["dataset"]} | RECIPES[given["recipe"] or "homework"]
    choices |= {name: given[name] for name in given.keys() & config.keys()}
    return not TrainConfig(**choices).differences(TrainConfig(**config))


CLAIMS = claims("""
This DCGAN was trained on {counted(images, "image")} of {SET.get(dataset, "leaves")} for
{counted(epochs, "epoch")} ({counted(int(step[-1]), "step")}).

Settings that differ from the defaults: {all_settings}.

The epochs took {seconds.sum() / 60} minutes in total on AMD EPYC (threads:
{run.environment["threads"]}).

In epoch 1, the generator's loss is {g[0]} nats and the discriminator's loss is {d[0]} nats.

In epoch {epochs}, the generator's loss is {g[-1]} nats and the discriminator's loss is {d[-1]}
nats.
    if epochs > 1

The generator's loss is highest in epoch {highest + 1} ({g.max()}) and lowest in epoch {lowest + 1}
({g.min()}).
    if many

With fewer than 8 epochs, there is no curve to describe yet.
    if not many

From one epoch to the next, one loss rises while the other falls in {opposite} of {epochs - 1}
cases.
    if many

The generator's loss is more than {factor} above its median over the seven surrounding epochs:
{", ".join(spikes)}.
    if many and spikes

On average, D(x) is above D(G(z)) in {sum(gap > 0)} of {counted(epochs, "epoch")}.

They are furthest apart in epoch {widest + 1}: {real[widest]} and {fake[widest]}.

The run has seen {counted(seen, "image")}, counting repetitions. Before about 30,000 images, even a
good run can look like a bad one.

The generator's loss is above 16 in {sum(g > 16)} of {counted(epochs, "epoch")}. In the published
run (docs/results.md), it stays below 1.6.
    if highest_published < 1.6

The discriminator does not distinguish real from generated images: D(x) and D(G(z)) are never more
than {abs(gap).max()} apart.

In the last {last} epochs, the discriminator is right about at least {worst_right} of the real and
of the generated images.

In the last {last} epochs, the discriminator is right about at most {right_fake[-last:].max()} of
the generated images, and on average takes them for more real than real ones.

D(x) − D(G(z)) is {gap[-last]} in epoch {begin} and {gap[-1]} in epoch {epochs}.

In the last {last} epochs, the images vary less than a third as much as the training images. The
mean distance between two generated images is {variety[-last]} in epoch {begin} and {variety[-1]} in
epoch {epochs}; between two training images it is {real_variety} (root mean square over pixels from
−1 to 1).

In epoch {evaluated["epoch"]}, {unclaimed} of the images belong to no class: each of them is
stranger than 99% of the test images.
    if unclaimed > 0.5

In epoch {evaluated["epoch"]}, fewer than 1.0% of the images belong to each of:
{", ".join(missing)}.
    if unclaimed <= 0.5

{epochs} of {requested} epochs are done.
    if epochs < requested

It has seen {counted(seen, "image")}, counting repetitions. In the published run (docs/results.md),
on Fashion-MNIST, outlines of garments appear after about 240,000.
    if 30_000 <= seen < 240_000

The distance to real images (FCD) is {distance} in the last evaluated epoch; the lowest before that
is {min(distances)}.
    if len(distances) >= 3 and distance < 0.97 * min(distances)
""")
# When each rule finds something.
RULES = {
    "divergence": "np.mean(g > 16) >= 0.5",
    "nothing_learnt": "epochs >= 3 and abs(gap).max() < 0.05 and g.max() < 1.1 * g.min()",
    "imbalance": "epochs >= 3 and (worst_right >= 0.9"
    " or (gap[-last:].max() < 0 and right_fake[-last:].max() < 0.4))",
    "collapse": "epochs >= 3 and seen >= 40_000 and (variety[-last:] < real_variety / 3).all()",
    "missing_classes": "evaluated and (unclaimed > 0.5 or missing)",
    "short_training": "epochs < requested or seen < 240_000"
    " or (len(distances) >= 3 and distance < 0.97 * min(distances))",
    "loss_spikes": "many and spikes",
}
# When advice may contain certain words.
ADVICE = {
    "without --discriminator-learning-rate": "discriminator_learning_rate",
    "same command again": "epochs < requested",
    "with more --epochs": "epochs >= requested",
    "--beta-1 0.5": "beta_1 > 0.5",
}
# When there is an idea for what to try next.
IDEAS = {
    "gan-tf neighbours": "images < 1000",
    "gan-tf evaluate": "not evaluated and dataset in SET",
    "--recipe best": "not RECIPES['best'].items() <= run.config.items()",
    "batches of 16 or 32": "batch_size == 64",
}


def check(run):
    """Checks every sentence about a run."""
    known = globals() | facts(run)
    found = findings(run)
    for text in [story.paragraph(run), *story.part_f(run), *(finding.text for finding in found)]:
        check_claims(text, CLAIMS, known)
    level = check_advice(run, known, found)
    names = {finding.rule for finding in found}
    present = {rule for rule, condition in RULES.items() if eval(condition, known)}
    if known["seen"] < 30_000:
        assert names == {"too_early"}
    else:  # an alarm silences all others
        assert names == present if level != "alarm" else names <= present


def check_advice(run, known, found):
    """Checks that advice is true of a run, and never to start again and to resume at once."""
    level, verdict = story.verdict(found)
    advice = " ".join(finding.advice for finding in found)
    ideas = story.what_next(run)
    for words, condition in IDEAS.items():
        assert (words in ideas) == bool(eval(condition, known)), words
    assert f"--seed {known['seed'] + 1}," in ideas
    for words, condition in ADVICE.items():
        assert words not in advice or eval(condition, known), words
    for flag, words, rate in re.findall(r"--([\w-]+)-rate( \w+|:) ([\d.e-]+\d)", advice):
        own, both = known["rates"][flag], known["rates"].values()
        expected = {":": own / 10, " of": max(10 * own, 1e-4)}.get(words, own)
        assert float(rate) == pytest.approx(expected)
        assert own == {":": max(both), " of": min(both)}.get(words, own)
    again, resume = "tart again" in advice, "it resumes" in advice
    assert (again, resume) == (level == "alarm", level == "advice"), advice
    assert not again or len(found) == 1
    assert all(finding.title in verdict for finding in found if finding.level != "note")
    return level


# ---------------------------------------------------------------------------------- the runs


@pytest.fixture(scope="session")
def recorded(published):
    return [published, *(read_run(folder) for folder in sorted(ILL_RUNS.iterdir()))]


def test_sentences_about_a_recorded_run(recorded):
    """As it was after each of its epochs, finished or not."""
    for run in recorded:
        for count in {*range(1, 14), *range(14, len(run.history), 5), len(run.history)}:
            config = run.config | {"epochs": count + count % 2}
            check(dataclasses.replace(run, history=run.history[:count], config=config))


CHOICES = {
    "learning_rate": (1e-4, 1e-2, 1e-6, 2e-4),
    "discriminator_learning_rate": (None, 1e-4, 1e-2, 1e-6),
    "batch_size": (64, 16),
    "beta_1": (0.9, 0.5),
    "ema_decay": (0.0, 0.999),
    "fast": (True, False),
    "invert": (False, True),
    "dataset": ("fashion_mnist", "synthetic", "leaves"),
}


def random_run(recorded, chance):
    """A run of random settings, whose epochs are those of recorded runs in another order."""
    count = chance.choice([40, 12, 9, 8, 7, 4, 3, 2, 1])
    images = chance.choice([60_000, 60_000, 10_000, 2_000, 900, 1])
    choices = {name: chance.choice(values) for name, values in CHOICES.items()}
    choices["max_images"] = chance.choice([None, max(images, choices["batch_size"])])
    config = TrainConfig(epochs=count + chance.choice([0, 1]), seed=3, **choices)
    histories = [run.history for run in recorded]
    history = chance.choice([*histories, sum(histories, [])])
    variety, easier = chance.choice([0.05, 0.14, 0.5]), chance.choice([0, 0, 0.35])
    digits = chance.choice([2, 3, 4])  # few digits make equal values
    rows = []
    for epoch in range(1, count + 1):
        row = {name: round(value or 0, digits) for name, value in chance.choice(history).items()}
        row |= {"epoch": epoch, "step": epoch * -(-images // config.batch_size)}
        row |= {"seconds": 2.5, "images_per_second": images / 2.5}
        row |= {"fake_accuracy": min(row["fake_accuracy"] + easier, 1)}
        rows.append(row | {"variety": round(variety * chance.uniform(0.9, 1.1), digits)})
    if chance.random() < 0.3:
        rows[count // 2] |= {"generator_loss": 1.4, "variety": None}
    if chance.random() < 0.2:  # nothing is learnt, or a little
        gap, ratio = chance.choice([0.04, 0.06]), chance.choice([1.05, 1.15])
        for row in rows:
            row |= {"real_probability": 0.5, "fake_probability": 0.5 + gap, "generator_loss": 1.0}
        rows[-1]["generator_loss"] = ratio
    nearest = chance.choice([0.5, 18])
    distances = [chance.uniform(nearest, 20) for _ in range(chance.randint(0, count))]
    if chance.random() < 0.5:
        distances.sort(reverse=True)
    evaluation = [
        {"epoch": epoch, "fcd": distance, "unclaimed_share": chance.uniform(0, 0.7)}
        | {f"share_{index}": 0.1 if chance.random() < 0.9 else 0.009 for index in range(10)}
        for epoch, distance in enumerate(distances, 1)
    ]
    environment = {"threads": chance.choice([1, 2]), "processor": "AMD EPYC"}
    environment |= chance.choice([{}, {"real_variety": 0.45}])
    return Run("run", dataclasses.asdict(config), environment, rows, evaluation, {})


def test_sentences_about_any_run(recorded, random_choices):
    for _ in range(150):
        check(random_run(recorded, random_choices))
