"""A run in words: its description, its verdict, its findings, and part (f) of the assignment.

A sentence is written only if the run's tables support it: tests/report/test_sentences.py checks
each one.
"""

import dataclasses
import itertools
import os
import textwrap
from pathlib import Path

import numpy as np

from gan_tf.config import DATASETS, OWN_IMAGES, RECIPES, TrainConfig
from gan_tf.report.rules import FEW_EPOCHS, Finding, counted, findings, lead, loss_spikes
from gan_tf.system.errors import flag

_FEW_IMAGES = 1000  # a generator may copy so few; it did with the 64 of the ill run tiny_data_set
_NAMES = {
    "fashion_mnist": "Fashion-MNIST",
    "mnist": "MNIST",
    "kmnist": "Kuzushiji-MNIST",
    "synthetic": "synthetic garments",
}


def as_text(run) -> str:
    """Returns a description of the run, the verdict and the findings, as lines for a terminal."""
    found = findings(run)
    level, sentence = verdict(found)
    parts = [f"{run.name}: {paragraph(run)}", sentence]
    for finding in found:
        where = f" ({epochs_as_text(finding.epochs)})" if finding.epochs else ""
        parts.append(f"{finding.level.upper()}: {finding.title}{where}")
        parts += [f"    {finding.text}", f"    What to do: {finding.advice}"]
    if level == "sound":
        parts.append(f"What to try next: {what_next(run)}")
    return "\n".join(
        textwrap.fill(
            part, 100, subsequent_indent="    " * (part[0] == " "), break_on_hyphens=False
        )
        for part in parts
    )


def as_dict(run) -> dict:
    """Returns the verdict and the findings for JSON.

    Returns:
      run: the folder's name; verdict; level: of the verdict; findings: a dict for each `Finding`.
    """
    found = findings(run)
    level, sentence = verdict(found)
    return {
        "run": run.name,
        "level": level,
        "verdict": sentence,
        "findings": [finding._asdict() for finding in found],
    }


def epochs_as_text(epochs) -> str:
    """Returns epochs as text, with consecutive ones as a range: `epochs 21, 28, 42 to 43`."""
    parts = []
    for _, group in itertools.groupby(enumerate(epochs), lambda item: item[1] - item[0]):
        stretch = [epoch for _, epoch in group]
        parts.append(f"{stretch[0]} to {stretch[-1]}" if len(stretch) > 1 else f"{stretch[0]}")
    return ("epoch " if len(epochs) == 1 else "epochs ") + ", ".join(parts)


def paragraph(run) -> str:
    """Returns what was trained, on which images and for how long."""
    minutes = sum(row["seconds"] for row in run.history) / 60
    text = (
        f"This DCGAN was trained on {counted(run.training_images, 'image')} of"
        f" {_data_set(run.config['dataset'])} for {counted(run.last['epoch'], 'epoch')}"
        f" ({counted(run.last['step'], 'step')}). Settings that differ from the defaults:"
        f" {', '.join(_changed_settings(run.config)) or 'none'}. The epochs took {minutes:,.1f}"
        " minutes in total"
    )
    if processor := run.environment.get("processor"):
        text += f" on {processor} (threads: {run.environment.get('threads')})"
    return text + "."


def verdict(found: list[Finding]) -> tuple[str, str]:
    """Returns the verdict: a level, which is "sound" if there are only notes, and a sentence."""
    titles = [finding.title for finding in found if finding.level != "note"]
    if not titles:
        return "sound", "A sound run: there is no reason to start again or to train longer."
    return found[0].level, ". ".join(titles) + "."


def what_next(run) -> str:
    """Returns what to try after a sound run."""
    config = run.config
    ideas = {
        "Measure the images, whose quality no loss shows (gan-tf evaluate --all-epochs).": (
            not run.evaluation and config["dataset"] in DATASETS
        ),
        "See whether the generator copies its few training images (gan-tf neighbours).": (
            run.training_images < _FEW_IMAGES
        ),
        "Train with --recipe best in another --run-dir: on Fashion-MNIST, this more than halved the"
        " distance to real images (docs/results.md).": not _is_best(config),
        f"Train with another seed (--seed {config['seed'] + 1}, in another --run-dir) and compare"
        " both (gan-tf report with both --run-dir), to see what is due to chance.": True,
        "Compare batches of 16 or 32 (--batch-size).": config["batch_size"] == 64,
    }
    return " ".join(idea for idea, applies in ideas.items() if applies)


def figures(run) -> list[tuple[str, str]]:
    """Returns the key numbers of a run, each with its label."""
    last = run.last
    result = [
        (f"{last['epoch']}", "epoch" if last["epoch"] == 1 else "epochs"),
        (f"{last['generator_loss']:.3f}", "generator loss"),
        (f"{last['discriminator_loss']:.3f}", "discriminator loss"),
    ]
    if by_epoch := run.by_epoch("variety"):
        result.append((f"{by_epoch[max(by_epoch)]:.2f}", "variety"))
    if run.evaluation:
        result.append((f"{run.evaluation[-1]['fcd']:.3g}", "FCD"))
    return result


def part_f(run) -> list[str]:
    """Returns how the losses behaved, as paragraphs."""
    rows = run.history
    losses = " ".join(
        "In epoch {epoch}, the generator's loss is {generator_loss:.3f} nats and the"
        " discriminator's loss is {discriminator_loss:.3f} nats.".format_map(row)
        for row in rows[:: max(len(rows) - 1, 1)]  # the first and the last one
    )
    ahead = sum(lead(row) > 0 for row in rows)
    balance = (
        f"On average, D(x) is above D(G(z)) in {ahead} of {counted(len(rows), 'epoch')}. They are"
        " furthest apart in epoch {epoch}: {real_probability:.3f} and {fake_probability:.3f}."
    ).format_map(max(rows, key=lambda row: abs(lead(row))))
    if len(rows) < FEW_EPOCHS:
        losses += f" With fewer than {FEW_EPOCHS} epochs, there is no curve to describe yet."
        return [losses, balance]
    highest, lowest = (
        "{epoch} ({generator_loss:.3f})".format_map(choose(rows, key=lambda r: r["generator_loss"]))
        for choose in (max, min)
    )
    losses += f" The generator's loss is highest in epoch {highest} and lowest in epoch {lowest}."
    generator, discriminator = (
        np.diff([row[f"{network}_loss"] for row in rows])
        for network in ("generator", "discriminator")
    )
    opposition = (
        "From one epoch to the next, one loss rises while the other falls in"
        f" {np.sum(generator * discriminator < 0)} of {len(rows) - 1} cases."
    )
    spikes = loss_spikes(run)
    return [losses, opposition, *([spikes.text] if spikes else []), balance]


def _data_set(name):
    if name.startswith(OWN_IMAGES):
        return "an array"
    return _NAMES.get(name) or (Path(name).resolve().name if os.path.isdir(name) else name)


def _changed_settings(config):
    """Returns the flags that differ from the defaults; the best recipe by its name."""
    best = RECIPES["best"] if _is_best(config) else {}
    flags = ["--recipe best"] if best else []
    for field in dataclasses.fields(TrainConfig):
        name, value = field.name, config[field.name]
        if not field.metadata["decides_numbers"] or name == "dataset":
            continue
        if value != best.get(name, field.default):
            name = flag(name if value is not False else f"no_{name}")
            flags.append(name if isinstance(value, bool) else f"{name} {value}")
    return flags


def _is_best(config):
    return all(config[name] == value for name, value in RECIPES["best"].items())
