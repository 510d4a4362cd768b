"""Each sentence of a report is taken apart again, and held against the run's tables.

`CLAIMS` has a pattern for each sentence that may be written, and a check of what it says that
shares no code with the report. A sentence without a pattern is an error, as is one that is false.
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
PAIR = ("real_probability", "fake_probability")
RIGHT = ("real_accuracy", "fake_accuracy")


class Table:
    """The columns of a run as arrays, and the few numbers that several claims rest on."""

    def __init__(self, run):
        self.run, self.config = run, run.config
        self.epochs = len(run.history)
        self.latest = max(3, self.epochs // 10)
        names = dict.fromkeys(name for row in run.history for name in row)
        self.columns = {name: np.array(run.column(name), float) for name in names}
        self.g, self.d = self["generator_loss"], self["discriminator_loss"]
        self.lead = self["real_probability"] - self["fake_probability"]
        by_epoch = run.variety()
        self.columns["variety"] = np.array(
            [by_epoch.get(epoch, np.nan) for epoch in range(1, self.epochs + 1)]
        )
        known = {"fashion_mnist": 0.8}.get(self.config["dataset"], np.nan)
        self.real_variety = run.environment.get("real_variety") or known
        speed, seconds = self["images_per_second"][-1], self["seconds"][-1]
        self.images = round(speed * seconds)
        self.seen = self.images * self.epochs
        self.rates = {
            "learning": self.config["learning_rate"],
            "discriminator-learning": self.config["discriminator_learning_rate"]
            or self.config["learning_rate"],
        }
        self.fcd = [row["fcd"] for row in run.evaluation]

    def __getitem__(self, name):
        return self.columns.get(name, np.full(self.epochs, np.nan))

    def last(self, *names):
        return np.array([self[name][-self.latest :] for name in names])

    def spikes(self):
        """The epochs that stand out, by the median of seven, and by how much they must."""
        factor = max(0.05, 4 * np.median(np.abs(self.g[1:] / self.g[:-1] - 1)))
        sevens = np.lib.stride_tricks.sliding_window_view(self.g, 7)
        above = self.g[3:-3] > (1 + factor) * np.median(sevens, axis=1)
        return (np.flatnonzero(above) + 4).tolist(), factor


def is_rounded(text, value):
    """Whether a number as text is the value, rounded to the digits that the text has."""
    text = text.replace(",", "")
    percent = text.endswith("%")
    digits = len(text.rstrip("%").partition(".")[2])
    shown = float(text.rstrip("%"))
    return abs(shown - value * (100 if percent else 1)) <= 0.5000001 * 10**-digits


def three_digits(text, value):
    return text == f"{value:.3g}"


# ------------------------------------------------------------------------------ the paragraph


def trained_on(t, images, name, epochs, steps, batch, rates, seed):
    expected = {t.config["learning_rate"], t.rates["discriminator-learning"]}
    shown = {float(rate) for rate in re.findall(r"[\d.]+(?:e[-+]?\d+)?", rates)}
    return (
        int(images.replace(",", "").split()[0]) == t.images
        and (images.split()[1] == "image") == (t.images == 1)
        and name in ("Fashion-MNIST", "synthetic garments", "leaves")
        and epochs == f"{t.epochs} epoch" + "s" * (t.epochs > 1)
        and int(steps.replace(",", "").split()[0]) == t["step"][-1]
        and int(batch) == min(t.images, t.config["batch_size"])
        and shown == expected
        and int(seed) == t.config["seed"]
    )


def other_settings(t, flags):
    """Reads the flags as the command does; with what the sentence before names, they are all."""
    choices = {
        name: t.config[name]
        for name in (
            "dataset",
            "seed",
            "batch_size",
            "learning_rate",
            "discriminator_learning_rate",
        )
    }
    for flag in flags.split(", "):
        name, *value = flag.removeprefix("--").split()
        if name == "recipe":
            choices |= RECIPES[value[0]]
        elif value:
            field = name.replace("-", "_")
            kind = TrainConfig.__dataclass_fields__[field].metadata["kind"]
            choices[field] = kind(value[0])
        else:
            choices[name.removeprefix("no-").replace("-", "_")] = not name.startswith("no-")
    return not TrainConfig(**choices).differences(TrainConfig(**t.config))


def took(t, hours, minutes, seconds, threads):
    shown = 3600 * int(hours or 0) + 60 * int(minutes or 0) + int(seconds or 0)
    allowed = 0.5001 if seconds else 30.01
    return (
        abs(shown - np.nansum(t["seconds"])) <= allowed
        and int(threads) == t.run.environment["threads"]
    )


# ---------------------------------------------------------------------------------- part (f)


def ends(t, first, g_1, d_1, last, g_n, d_n):
    begins = first == "1" and is_rounded(g_1, t.g[0]) and is_rounded(d_1, t.d[0])
    if t.epochs == 1:
        return begins and last is None
    return (
        begins and int(last) == t.epochs and is_rounded(g_n, t.g[-1]) and is_rounded(d_n, t.d[-1])
    )


def extreme(t, name, epoch, loss, norm, usual):
    index, norms = int(epoch) - 1, t["generator_gradient_norm"]
    return (
        t.epochs >= 8
        and 0 < index < t.epochs - 1
        and t.g[index] == (t.g.max() if name == "highest" else t.g.min())
        and is_rounded(loss, t.g[index])
        and (norm is None or three_digits(norm, norms[index]))
        and (usual is None or three_digits(usual, np.median(norms)))
    )


def extremes(t, text):
    return all(extreme(t, *one.groups()) for one in re.finditer(EXTREME, text))


def opposite(t, count, of, gains):
    g, d = np.diff(t.g), np.diff(t.d)
    found = np.sum((g > 0) & (d < 0)) + np.sum((g < 0) & (d > 0))
    mostly = found >= 0.75 * (t.epochs - 1)
    return t.epochs >= 8 and (int(count), int(of)) == (found, len(g)) and bool(gains) == mostly


def stands_out(t, text, factor):
    found, expected = t.spikes()
    shown = {int(epoch): loss for epoch, loss in re.findall(r"(\d+) \(([\d.]+)\)", text)}
    losses = all(is_rounded(loss, t.g[epoch - 1]) for epoch, loss in shown.items())
    return t.epochs >= 8 and list(shown) == found and losses and is_rounded(factor, expected)


def ahead(t, often, epoch, real, fake):
    count = int(np.sum(t.lead > 0))
    expected = {0: "no epoch", t.epochs: "every epoch"}.get(count, f"{count} of {t.epochs} epochs")
    if epoch is None:
        return often == expected and (count == 0 or t.lead[-1] == t.lead.max())
    index = int(epoch) - 1
    return (
        often == expected
        and t.lead[index] == t.lead.max() > 0
        and index < t.epochs - 1
        and is_rounded(real, t["real_probability"][index])
        and is_rounded(fake, t["fake_probability"][index])
    )


def in_the_end(t, epoch, real, fake):
    return int(epoch) == t.epochs and all(
        is_rounded(text, t[name][-1]) for text, name in zip((real, fake), PAIR)
    )


# ---------------------------------------------------------------------------------- findings


def seen_so_few(t, count, limit, level):
    seen = int(re.sub(r"\D", "", count))
    return seen == t.seen < int(limit.replace(",", "")) == level


def diverged(t, count, of, epoch, loss):
    above = int(np.sum(t.g > 16))
    return (
        int(count) == above >= t.epochs / 2
        and int(of.split()[0]) == t.epochs
        and t.g[int(epoch) - 1] == t.g.max()
        and is_rounded(loss, t.g.max())
    )


def flat(t, gap):
    return is_rounded(gap, np.abs(t.lead).max()) and np.abs(t.lead).max() < 0.05 and t.epochs >= 3


def between(t, low, high):
    return (
        is_rounded(low, t.g.min()) and is_rounded(high, t.g.max()) and t.g.max() < 1.1 * t.g.min()
    )


def recognises(t, count, lowest):
    right = t.last(*RIGHT)
    return int(count) == t.latest and is_rounded(lowest, right.min()) and right.min() >= 0.9


def fooled(t, count, highest):
    right = t.last("fake_accuracy")
    return (
        int(count) == t.latest
        and is_rounded(highest, right.max())
        and right.max() < 0.4
        and (t.lead[-t.latest :] < 0).all()
    )


def alike(t, count, before, first, now, last, real):
    values = t["variety"][-t.latest :]
    return (
        int(count) == t.latest
        and (int(first), int(last)) == (t.epochs - t.latest + 1, t.epochs)
        and is_rounded(before, values[0])
        and is_rounded(now, values[-1])
        and is_rounded(real, t.real_variety)
        and (values < t.real_variety / 3).all()
    )


def of_no_class(t, epoch, share):
    row = t.run.evaluation[-1]
    return (
        row["epoch"] == int(epoch)
        and is_rounded(share, row["unclaimed_share"])
        and (row["unclaimed_share"] > 0.5)
    )


def of_few(t, epoch, limit, names):
    row = t.run.evaluation[-1]
    clothes = "T-shirt/top trouser pullover dress coat sandal shirt sneaker bag ankle_boot".split()
    missing = [
        clothes[index].replace("_", " ")
        if t.config["dataset"] == "fashion_mnist"
        else f"class {index}"
        for index in range(10)
        if row[f"share_{index}"] < 0.01
    ]
    return (
        row["epoch"] == int(epoch)
        and limit == "1%"
        and re.split(", | and ", names) == missing
        and row["unclaimed_share"] <= 0.5
    )


def fewer_epochs(t, done, asked):
    return (int(done), int(asked)) == (t.epochs, t.config["epochs"]) and t.epochs < int(asked)


def improved(t, distance, before):
    *others, last = t.fcd
    return (
        len(others) >= 3
        and three_digits(distance, last)
        and three_digits(before, min(others))
        and last < 0.97 * min(others)
    )


def remedy(t, text):
    """What to do fits the run: each flag it names, each rate that is to be lowered or raised."""
    for direction, flag, rate in re.findall(
        r"(lower|higher) --([\w-]+)-rate than ([\d.e-]+\d)", text
    ):
        assert float(rate) == pytest.approx(t.rates[flag]), direction
    if match := re.search(r"lower --([\w-]+)-rate: ([\d.e-]+\d) or less", text):
        assert float(match[2]) == pytest.approx(max(t.rates.values()) / 10)
        assert t.rates[match[1]] == max(t.rates.values())
    if "the assignment's is 1e-4" in text:
        assert min(t.rates.values()) < 1e-4
    if "without --discriminator-learning-rate" in text:
        assert t.config["discriminator_learning_rate"]
    if "gan-tf neighbours" in text:
        assert t.images < 1000
    if "same command again" in text:
        assert t.epochs < t.config["epochs"]
    if "with more --epochs" in text:
        assert t.epochs >= t.config["epochs"]
    if "--beta-1 0.5" in text:
        assert t.config["beta_1"] > 0.5
    if "gan-tf evaluate" in text:
        assert not t.run.evaluation and t.config["dataset"] in ("fashion_mnist", "synthetic")
    if "--recipe best" in text:
        assert not RECIPES["best"].items() <= t.config.items()
    if "batches of 16 or 32" in text:
        assert t.config["batch_size"] == 64
    return True


N = r"(\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?)"
PER = r"(\d[\d,]*(?:\.\d+)?%)"
EXTREME = (
    rf"(highest|lowest) in epoch (\d+) \({N}\)(?: with a gradient of norm {N} \(median of all"
    rf" epochs: {N}\))?"
)
CLAIMS = [
    (
        r"A DCGAN trained on (\d[\d,]* images?) of ([\w -]+) for (\d+ epochs?) \((\d[\d,]* steps?)"
        r" with batches of (\d+)\), with Adam at a learning rate of (.+?) and seed (\d+)\.",
        trained_on,
    ),
    (r"Settings that are not the defaults: (.+?)\.", other_settings),
    (
        r"The images are drawn from an average of the generator's weights\.",
        lambda t: t.config["ema_decay"] > 0,
    ),
    (
        r"The epochs took (?:(\d+) h )?(?:(\d+) min)?(?:(\d+) s)? on (\d+) threads? of AMD EPYC\.",
        took,
    ),
    (
        rf"In epoch (\d+) the generator's loss is {N} and the discriminator's {N}(?:; in epoch"
        rf" (\d+) they are {N} and {N})? \(nats, means over an epoch\)\.",
        ends,
    ),
    (
        rf"The generator's loss is ({EXTREME}(?: and {EXTREME})?)\.",
        lambda t, *found: extremes(t, found[0]),
    ),
    (
        r"The generator's loss ends within 3% of where it began: compare the images of the two"
        r" epochs\.",
        lambda t: t.epochs >= 8 and abs(t.g[-1] - t.g[0]) < 0.03 * t.g[0],
    ),
    (r"With fewer than 8 epochs there is no curve to speak of\.", lambda t: t.epochs < 8),
    (
        r"From one epoch to the next, one loss rises while the other falls in (\d+) of (\d+)"
        r" cases(: what one gains, the other loses)?\.",
        opposite,
    ),
    (
        rf"The generator's loss stands out in epochs? (.+?): more than {PER} above the median of"
        r" the seven epochs around (?:it|each)\.",
        stands_out,
    ),
    (
        rf"On average D\(x\) is above D\(G\(z\)\) in ([\w ]+)(?:, furthest in epoch (\d+)"
        rf" \({N} and {N}\))?\.",
        ahead,
    ),
    (rf"In epoch (\d+) they are {N} and {N}\.", in_the_end),
    (
        rf"The run has seen ([\d,]+ images?), repetitions included\. Until about {N} even a good"
        r" run can look like a bad one\.",
        lambda t, count, limit: seen_so_few(t, count, limit, 20_000),
    ),
    (
        rf"The generator's loss is above 16 in (\d+) of (\d+ epochs?), and highest in epoch (\d+):"
        rf" {N}\.",
        diverged,
    ),
    (
        r"In the published run \(docs/results\.md\) it stays below 1\.6\.",
        lambda t: max(row["generator_loss"] for row in PUBLISHED) < 1.6,
    ),
    (
        r"The discriminator does not tell real images from generated ones: D\(x\) and D\(G\(z\)\)"
        rf" are never further apart than {N}\.",
        flat,
    ),
    (rf"The generator's loss stays between {N} and {N}\.", between),
    (
        rf"In the last (\d+) epochs the discriminator is right about at least {PER} of the real"
        r" images and of the generated ones\.",
        recognises,
    ),
    (
        rf"In the last (\d+) epochs the discriminator is right about at most {PER} of the generated"
        r" images, and finds them more real than real ones\.",
        fooled,
    ),
    (
        r"D\(x\) − D\(G\(z\)\) is (-?[\d.]+) in epoch (\d+) and (-?[\d.]+) in epoch (\d+)\.",
        lambda t, before, third, now, last: (
            (int(third), int(last)) == (t.epochs - t.latest + 1, t.epochs)
            and is_rounded(before, t.lead[-t.latest])
            and is_rounded(now, t.lead[-1])
        ),
    ),
    (
        rf"In the last (\d+) epochs images vary less than a third as much as training images\. On"
        rf" average, two generated images are {N} apart in epoch (\d+) and {N} in epoch (\d+),"
        rf" two training images {N} \(root mean square over pixels from −1 to 1\)\.",
        alike,
    ),
    (
        rf"In epoch (\d+), {PER} of the images are of no class: stranger than 99% of the test"
        r" images\.",
        of_no_class,
    ),
    (
        rf"In epoch (\d+), fewer than {PER} of the images are of each of these: (.+?)\.",
        of_few,
    ),
    (r"(\d+) of (\d+) epochs are done\.", fewer_epochs),
    (
        rf"It has seen ([\d,]+ images?), repetitions included\. In the published run"
        rf" \(docs/results\.md\), on Fashion-MNIST, outlines of garments appear after about {N}\.",
        lambda t, count, limit: seen_so_few(t, count, limit, 240_000),
    ),
    (
        rf"The distance to real images \(FCD\) is {N} in the last evaluated epoch, and {N} or more"
        r" in those before it\.",
        improved,
    ),
]
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
    "missing classes": lambda t: (
        t.run.evaluation[-1]["unclaimed_share"] <= 0.5
        and all(t.run.evaluation[-1][f"share_{index}"] >= 0.01 for index in range(10))
    ),
    "short training": lambda t: t.epochs >= t.config["epochs"] and t.seen >= 240_000,
    "loss spikes": lambda t: t.epochs >= 8 and not t.spikes()[0],
}


LASTING = {
    "imbalance": lambda t: abs(t.lead[-1]) > 0.9 * abs(t.lead[-t.latest]),
    "collapse": lambda t: t["variety"][-1] < 1.1 * t["variety"][-t.latest],
}


def check(run):
    """Takes apart every sentence that is written about a run."""
    table = Table(run)
    found, not_found, unknown = examined(run)
    for text in [story.paragraph(run), *story.part_f(run), *(finding.text for finding in found)]:
        while text:
            matches = [
                (claim, match)
                for pattern, claim in CLAIMS
                if (match := re.match(rf"{pattern}(?: |$)", text))
            ]
            assert len(matches) == 1, text
            claim, match = matches[0]
            assert claim(table, *match.groups()), match[0]
            text = text[match.end() :]
    level, verdict = story.verdict(found)
    advice = [finding.advice for finding in found] + [story.what_next(run)] * (level == "sound")
    for text in advice:
        assert remedy(table, text), text
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

PUBLISHED = RunDir(ROOT / "docs" / "results").read_history()


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
