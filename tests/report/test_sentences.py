"""Each sentence of a report is taken apart again, and held against the run's tables.

`CLAIMS` has a pattern for each sentence that may be written, with when it is true and what its
numbers are, in terms that share no code with the report. A sentence without a pattern is an error.
"""

import dataclasses
import re

import numpy as np
import pytest
from helpers import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from make_published_page import read_published_run

from gan_tf.config import RECIPES, TrainConfig
from gan_tf.report import Run, read_run, story
from gan_tf.report.health import examined
from gan_tf.run.rundir import RunDir

ILL_RUNS = sorted((ROOT / "tests" / "report" / "ill_runs").iterdir())
PUBLISHED = RunDir(ROOT / "docs" / "results").read_history()
PAIR = ("real_probability", "fake_probability")
RIGHT = ("real_accuracy", "fake_accuracy")
GARMENTS = "T-shirt/top,trouser,pullover,dress,coat,sandal,shirt,sneaker,bag,ankle boot".split(",")
SET = {"fashion_mnist": "Fashion-MNIST", "synthetic": "synthetic garments"}


class Table:
    """The columns of a run as arrays, and the few numbers that several claims rest on."""

    def __init__(self, run):
        self.run, self.config = run, run.config
        self.epochs = len(run.history)
        names = dict.fromkeys(name for row in run.history for name in row)
        self.columns = {name: np.array(run.column(name), float) for name in names}
        by_epoch = run.variety()
        self.columns["variety"] = np.array(
            [by_epoch.get(epoch, np.nan) for epoch in range(1, self.epochs + 1)]
        )
        self.g, self.d = self["generator_loss"], self["discriminator_loss"]
        self.real, self.fake = (self[name] for name in PAIR)
        self.lead, self.norm = self.real - self.fake, self["generator_gradient_norm"]
        self.widest = self.lead.argmax()
        self.images = round((self["images_per_second"] * self["seconds"])[-1])
        self.seen = self.images * self.epochs
        self.latest = max(3, self.epochs // 10)
        self.span = (self.epochs - self.latest + 1, self.epochs)  # of the latest
        known = {"fashion_mnist": 0.8}.get(self.config["dataset"], np.nan)
        self.real_variety = run.environment.get("real_variety") or known
        rate = self.config["learning_rate"]
        other = self.config["discriminator_learning_rate"] or rate
        self.rates = {"learning": rate, "discriminator-learning": other}
        self.evaluated = run.evaluation[-1] if run.evaluation else {}
        *self.distances, self.distance = [row["fcd"] for row in run.evaluation] or [None]

    def __getitem__(self, name):
        return self.columns.get(name, np.full(self.epochs, np.nan))

    def last(self, *names):
        return np.array([self[name][-self.latest :] for name in names])

    def many(self):
        """Whether there are enough epochs to speak of their course."""
        return self.epochs >= 8

    def within(self, index):
        return self.many() and 0 < index < self.epochs - 1

    def opposite(self):
        g, d = np.diff(self.g), np.diff(self.d)
        return int(np.sum((g > 0) & (d < 0)) + np.sum((g < 0) & (d > 0)))

    def gains(self):
        return ": what one gains, the other loses" * (self.opposite() >= 0.75 * (self.epochs - 1))

    def ahead(self):
        count = int(np.sum(self.lead > 0))
        known = {0: "no epoch", self.epochs: "every epoch"}
        return known.get(count, f"{count} of {self.epochs} epochs")

    def missing(self):
        names = GARMENTS if self.config["dataset"] == "fashion_mnist" else None
        return [
            names[index] if names else f"class {index}"
            for index in range(10)
            if self.evaluated[f"share_{index}"] < 0.01
        ]

    def factor(self):
        return max(0.05, 4 * np.median(np.abs(self.g[1:] / self.g[:-1] - 1)))

    def spikes(self):
        sevens = np.lib.stride_tricks.sliding_window_view(self.g, 7)
        above = self.g[3:-3] > (1 + self.factor()) * np.median(sevens, axis=1)
        return [f"{index + 4} ({self.g[index + 3]:.3f})" for index in np.flatnonzero(above)]


def agrees(text, value):
    """Whether a text is a value: itself, or a number rounded to the digits that the text has."""
    if value is None or isinstance(value, str):
        return text == value
    shown = text.replace(",", "").rstrip("%")
    value = 100 * value if text.endswith("%") else value
    digits = len(shown.partition(".")[2])
    return shown == f"{value:.3g}" or abs(float(shown) - value) <= 0.5000001 * 10**-digits


def counted(count, noun):
    return f"{count:,} {noun}" + "s" * (count != 1)


def joined(words):
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def rates(t):
    rate, other = (f"{rate:g}".replace("e-0", "e-") for rate in t.rates.values())
    return rate if rate == other else f"{rate} (discriminator: {other})"


def says_all_settings(t, flags):
    """Reads the flags as the command does; with what the sentence before names, they are all."""
    names = "dataset seed batch_size learning_rate discriminator_learning_rate".split()
    choices = {name: t.config[name] for name in names}
    for flag in flags.split(", "):
        name, *value = flag.removeprefix("--").split()
        field = name.removeprefix("no-").replace("-", "_")
        if name == "recipe":
            choices |= RECIPES[value[0]]
        else:
            kind = TrainConfig.__dataclass_fields__[field].metadata["kind"]
            choices[field] = kind(value[0]) if value else not name.startswith("no-")
    return not TrainConfig(**choices).differences(TrainConfig(**t.config))


def duration(t):
    total = np.nansum(t["seconds"])
    minutes = round(total / 60)
    hours = f"{minutes // 60} h " * (minutes >= 60)
    return f"{hours}{minutes % 60} min" if minutes else f"{total:.0f} s"


# A sentence, # for a number and ~ for words; what these are, or a check of them; when it is true.
CLAIMS = [
    (
        "A DCGAN trained on ~ of ~ for ~ (~ with batches of #), with Adam at a learning rate of ~"
        " and seed #",
        lambda t: [
            counted(t.images, "image"),
            SET.get(t.config["dataset"], "leaves"),
            counted(t.epochs, "epoch"),
            counted(int(t["step"][-1]), "step"),
            min(t.images, t.config["batch_size"]),
            rates(t),
            t.config["seed"],
        ],
        lambda t: True,
    ),
    ("Settings that are not the defaults: ~", says_all_settings, lambda t: True),
    (
        "The images are drawn from an average of the generator's weights",
        lambda t: [],
        lambda t: t.config["ema_decay"] > 0,
    ),
    (
        "The epochs took ~ on ~ of AMD EPYC",
        lambda t: [duration(t), counted(t.run.environment["threads"], "thread")],
        lambda t: True,
    ),
    (
        "In epoch 1 the generator's loss is # and the discriminator's # (nats, means over an"
        " epoch)",
        lambda t: [t.g[0], t.d[0]],
        lambda t: t.epochs == 1,
    ),
    (
        "In epoch 1 the generator's loss is # and the discriminator's #; in epoch # they are #"
        " and # (nats, means over an epoch)",
        lambda t: [t.g[0], t.d[0], t.epochs, t.g[-1], t.d[-1]],
        lambda t: t.epochs > 1,
    ),
    (
        "The generator's loss is highest in epoch # (#)",
        lambda t: [t.g.argmax() + 1, t.g.max()],
        lambda t: t.within(t.g.argmax()) and np.isnan(t.norm).any(),
    ),
    (
        "The generator's loss is highest in epoch # (#) with a gradient of norm # (median of all"
        " epochs: #)",
        lambda t: [t.g.argmax() + 1, t.g.max(), t.norm[t.g.argmax()], np.median(t.norm)],
        lambda t: t.within(t.g.argmax()),
    ),
    (
        "and lowest in epoch # (#)",
        lambda t: [t.g.argmin() + 1, t.g.min()],
        lambda t: t.within(t.g.argmin()) and t.within(t.g.argmax()),
    ),
    (
        "The generator's loss is lowest in epoch # (#)",
        lambda t: [t.g.argmin() + 1, t.g.min()],
        lambda t: t.within(t.g.argmin()) and not t.within(t.g.argmax()),
    ),
    (
        "The generator's loss ends within 3% of where it began: compare the images of the two"
        " epochs",
        lambda t: [],
        lambda t: t.many() and abs(t.g[-1] - t.g[0]) < 0.03 * t.g[0],
    ),
    (
        "With fewer than 8 epochs there is no curve to speak of",
        lambda t: [],
        lambda t: not t.many(),
    ),
    (
        "From one epoch to the next, one loss rises while the other falls in # of # cases~",
        lambda t: [t.opposite(), t.epochs - 1, t.gains()],
        lambda t: t.many(),
    ),
    (
        "The generator's loss stands out in ~: more than # above the median of the seven epochs"
        " around ~",
        lambda t: [
            ("epochs " if len(t.spikes()) > 1 else "epoch ") + joined(t.spikes()),
            t.factor(),
            "each" if len(t.spikes()) > 1 else "it",
        ],
        lambda t: t.many() and t.spikes(),
    ),
    (
        "On average D(x) is above D(G(z)) in ~, furthest in epoch # (# and #). In epoch # they"
        " are # and #",
        lambda t: [
            *(t.ahead(), t.widest + 1, t.real[t.widest], t.fake[t.widest]),
            *(t.epochs, t.real[-1], t.fake[-1]),
        ],
        lambda t: t.lead.max() > 0 and t.widest < t.epochs - 1,
    ),
    (
        "On average D(x) is above D(G(z)) in ~. In epoch # they are # and #",
        lambda t: [t.ahead(), t.epochs, t.real[-1], t.fake[-1]],
        lambda t: t.lead.max() <= 0 or t.widest == t.epochs - 1,
    ),
    (
        "The run has seen ~, repetitions included. Until about 30,000 even a good run can look"
        " like a bad one",
        lambda t: [counted(t.seen, "image")],
        lambda t: t.seen < 30_000,
    ),
    (
        "The generator's loss is above 16 in # of ~, and highest in epoch #: #. In the published"
        " run (docs/results.md) it stays below 1.6",
        lambda t: [np.sum(t.g > 16), counted(t.epochs, "epoch"), t.g.argmax() + 1, t.g.max()],
        lambda t: (
            np.mean(t.g > 16) >= 0.5 and max(row["generator_loss"] for row in PUBLISHED) < 1.6
        ),
    ),
    (
        "The discriminator does not tell real images from generated ones: D(x) and D(G(z)) are"
        " never further apart than #. The generator's loss stays between # and #",
        lambda t: [np.abs(t.lead).max(), t.g.min(), t.g.max()],
        lambda t: t.epochs >= 3 and np.abs(t.lead).max() < 0.05 and t.g.max() < 1.1 * t.g.min(),
    ),
    (
        "In the last # epochs the discriminator is right about at least # of the real images and"
        " of the generated ones",
        lambda t: [t.latest, t.last(*RIGHT).min()],
        lambda t: t.last(*RIGHT).min() >= 0.9,
    ),
    (
        "In the last # epochs the discriminator is right about at most # of the generated images,"
        " and finds them more real than real ones",
        lambda t: [t.latest, t.last("fake_accuracy").max()],
        lambda t: t.last("fake_accuracy").max() < 0.4 and t.lead[-t.latest :].max() < 0,
    ),
    (
        "D(x) − D(G(z)) is # in epoch # and # in epoch #",
        lambda t: [t.lead[-t.latest], t.span[0], t.lead[-1], t.span[1]],
        lambda t: t.epochs >= 3,
    ),
    (
        "In the last # epochs images vary less than a third as much as training images. On"
        " average, two generated images are # apart in epoch # and # in epoch #, two training"
        " images # (root mean square over pixels from −1 to 1)",
        lambda t: [
            *(t.latest, t["variety"][-t.latest], t.span[0], t["variety"][-1], t.span[1]),
            t.real_variety,
        ],
        lambda t: t.epochs >= 3 and t.last("variety").max() < t.real_variety / 3,
    ),
    (
        "In epoch #, # of the images are of no class: stranger than 99% of the test images",
        lambda t: [t.evaluated["epoch"], t.evaluated["unclaimed_share"]],
        lambda t: t.evaluated["unclaimed_share"] > 0.5,
    ),
    (
        "In epoch #, fewer than 1% of the images are of each of these: ~",
        lambda t: [t.evaluated["epoch"], joined(t.missing())],
        lambda t: t.evaluated["unclaimed_share"] <= 0.5,
    ),
    (
        "# of # epochs are done",
        lambda t: [t.epochs, t.config["epochs"]],
        lambda t: t.epochs < t.config["epochs"],
    ),
    (
        "It has seen ~, repetitions included. In the published run (docs/results.md), on"
        " Fashion-MNIST, outlines of garments appear after about 240,000",
        lambda t: [counted(t.seen, "image")],
        lambda t: t.seen < 240_000,
    ),
    (
        "The distance to real images (FCD) is # in the last evaluated epoch, and # or more in"
        " those before it",
        lambda t: [t.distance, min(t.distances)],
        lambda t: len(t.distances) >= 3 and t.distance < 0.97 * min(t.distances),
    ),
]


def claims_at(text):
    """The claims that a text may begin with, each with what stands in its places."""
    for sentence, values, is_true in CLAIMS:
        pattern = re.escape(sentence).replace("\\#", r"(-?\d[\d,.]*(?:e[-+]?\d+)?%?)")
        pattern = pattern.replace("\\~" if "\\~" in pattern else "~", "(.*?)")
        if match := re.match(rf"{pattern}(?:\.(?: |$)| (?=and lowest))", text):
            yield match, values, is_true


def says(t, match, values):
    """Whether a claim has the values of the table in its places."""
    if values is says_all_settings:
        return values(t, match[1])
    return all(map(agrees, match.groups(), values(t)))


# What a rule that found nothing says: its columns are there, and what it looks for is not.
ABSENT = {
    "divergence": lambda t: np.sum(t.g > 16) < t.epochs / 2,
    "nothing learnt": lambda t: (
        t.epochs >= 3 and (np.abs(t.lead).max() >= 0.05 or t.g.max() >= 1.1 * t.g.min())
    ),
    "imbalance": lambda t: (
        t.epochs >= 3
        and t.last(*RIGHT).min() < 0.9
        and (t.lead[-t.latest :].max() >= 0 or t.last("fake_accuracy").max() >= 0.4)
    ),
    "collapse": lambda t: t.epochs >= 3 and t.last("variety").max() >= t.real_variety / 3,
    "missing classes": lambda t: t.evaluated["unclaimed_share"] <= 0.5 and not t.missing(),
    "short training": lambda t: t.epochs >= t.config["epochs"] and t.seen >= 240_000,
    "loss spikes": lambda t: t.many() and not t.spikes(),
}


LASTING = {
    "imbalance": lambda t: abs(t.lead[-1]) > 0.9 * abs(t.lead[-t.latest]),
    "collapse": lambda t: t["variety"][-1] < 1.1 * t["variety"][-t.latest],
}


# What to do names a flag only where the run makes it true.
ADVICE = {
    "the assignment's is 1e-4": lambda t: min(t.rates.values()) < 1e-4,
    "without --discriminator-learning-rate": lambda t: t.config["discriminator_learning_rate"],
    "gan-tf neighbours": lambda t: t.images < 1000,
    "same command again": lambda t: t.epochs < t.config["epochs"],
    "with more --epochs": lambda t: t.epochs >= t.config["epochs"],
    "--beta-1 0.5": lambda t: t.config["beta_1"] > 0.5,
    "gan-tf evaluate": lambda t: not t.evaluated and t.config["dataset"] in SET,
    "--recipe best": lambda t: not RECIPES["best"].items() <= t.config.items(),
    "batches of 16 or 32": lambda t: t.config["batch_size"] == 64,
}


def check_advice(t, text):
    assert all(is_true(t) for words, is_true in ADVICE.items() if words in text), text
    for flag, rate in re.findall(r"(?:lower|higher) --([\w-]+)-rate than ([\d.e-]+\d)", text):
        assert float(rate) == pytest.approx(t.rates[flag])
    for flag, rate in re.findall(r"lower --([\w-]+)-rate: ([\d.e-]+\d) or less", text):
        assert float(rate) == pytest.approx(t.rates[flag] / 10)
        assert t.rates[flag] == max(t.rates.values())


def check(run):
    """Takes apart every sentence that is written about a run."""
    table = Table(run)
    found, not_found, unknown = examined(run)
    for text in [story.paragraph(run), *story.part_f(run), *(finding.text for finding in found)]:
        while text:
            true = [
                match
                for match, values, is_true in claims_at(text)
                if is_true(table) and says(table, match, values)
            ]
            assert len(true) == 1, text
            text = text[true[0].end() :]
    level, verdict = story.verdict(found)
    advice = [finding.advice for finding in found] + [story.what_next(run)] * (level == "sound")
    for text in advice:
        check_advice(table, text)
    again, on = ("Start again" in " ".join(advice), "it resumes" in " ".join(advice))
    assert (again, on) == (level == "alarm", level == "advice"), advice
    assert not again or len(found) == 1
    assert all(finding.title in verdict for finding in found if finding.level != "note")
    for name in not_found:
        assert ABSENT[name](table), name
    if found and found[0].rule == "too_early":
        assert len(found) == 1 and not not_found and not unknown
    for finding in found:
        if finding.rule in LASTING:
            lasts = LASTING[finding.rule](table)
            assert (finding.level == "alarm") == lasts
            assert finding.title.endswith("less so than before") != lasts
    assert not {finding.rule.replace("_", " ") for finding in found} & {*not_found, *unknown}


# ---------------------------------------------------------------------------------- the runs


def prefixes(run):
    """A run as it was after each of its epochs, finished or not."""
    by_epoch = run.variety()
    rows = [row | {"variety": by_epoch.get(row["epoch"])} for row in run.history]
    for count in range(1, len(rows) + 1):
        for asked in (count, count + 1):
            config = run.config | {"epochs": asked}
            yield dataclasses.replace(run, history=rows[:count], config=config, grids={})


@pytest.mark.parametrize("folder", ILL_RUNS, ids=lambda folder: folder.name)
def test_sentences_about_a_recorded_run(folder):
    for run in prefixes(read_run(folder)):
        check(run)


def test_sentences_about_the_published_run(tmp_path):
    for run in prefixes(read_published_run(tmp_path)):
        check(run)


# Ranges of the columns for kinds of runs; each epoch's values are drawn from them.
ANY = {
    "generator_loss": (0.01, 40.0),
    "discriminator_loss": (0.01, 8.0),
    **dict.fromkeys((*PAIR, *RIGHT), (0.0, 1.0)),
    "generator_gradient_norm": (0.0, 300.0),
    "variety": (0.0, 1.2),
}
KINDS = {
    "any": {},
    "steady": {
        "generator_loss": (0.9, 0.93),
        "fake_probability": (0.3, 0.4),
        "variety": (0.6, 0.8),
    },
    "diverged": {"generator_loss": (12.0, 200.0)},
    "untrained": {
        "generator_loss": (0.63, 0.66),
        **dict.fromkeys(PAIR, (0.5, 0.54)),
    },
    "discriminator ahead": {
        **dict.fromkeys(("real_probability", *RIGHT), (0.9, 1.0)),
        "fake_probability": (0.0, 0.1),
    },
    "generator ahead": {
        "real_probability": (0.48, 0.5),
        "fake_probability": (0.6, 0.66),
        "fake_accuracy": (0.0, 0.4),
    },
    "collapsed": {"variety": (0.05, 0.06), "generator_loss": (0.5, 2.0)},
}
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


@st.composite
def runs(draw):
    count = draw(st.sampled_from([40, 9, 8, 7, 12, 4, 3, 2, 1]))
    images = draw(st.sampled_from([900, 60_000, 1, 2_000, 60_000]))
    choices = {name: draw(st.sampled_from(values)) for name, values in CHOICES.items()}
    choices["max_images"] = draw(st.sampled_from([None, max(images, choices["batch_size"])]))
    config = TrainConfig(epochs=count + draw(st.integers(0, 1)), seed=3, **choices)
    ranges = ANY | KINDS[draw(st.sampled_from(sorted(KINDS)))]
    missing = draw(st.sets(st.sampled_from(sorted(ANY)), max_size=2))
    digits = draw(st.integers(2, 4))  # few: equal values
    values = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = []
    for epoch in range(1, count + 1):
        row = {name: round(float(values.uniform(*ends)), digits) for name, ends in ranges.items()}
        row |= {name: None for name in missing if values.random() < 0.5}
        row |= {"epoch": epoch, "step": epoch * -(-images // config.batch_size)}
        rows.append(row | {"seconds": 2.5, "images_per_second": images / 2.5})
    if draw(st.booleans()):
        rows[count // 2]["generator_loss"] = 1.4
    distances = values.uniform(0.5, 20, draw(st.integers(0, count)))
    if draw(st.booleans()):
        distances[::-1].sort()
    evaluation = [
        {"epoch": epoch, "fcd": distance, "unclaimed_share": values.uniform(0, 0.7)}
        | {f"share_{index}": values.choice([0.009, 0.1], p=[0.1, 0.9]) for index in range(10)}
        for epoch, distance in enumerate(distances, 1)
    ]
    environment = {"threads": draw(st.integers(1, 2)), "processor": "AMD EPYC"}
    environment |= draw(st.sampled_from([{}, {"real_variety": 0.45}]))
    return Run("run", dataclasses.asdict(config), environment, rows, evaluation, {})


@settings(max_examples=200, deadline=None)
@given(runs())
def test_sentences_about_any_run(run):
    check(run)
