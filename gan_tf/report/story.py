"""A run in words: its description, its verdict, its findings, and part (f) of the assignment.

A sentence is written only if the run's tables support it: tests/report/test_sentences.py checks
each one.
"""

import dataclasses
import itertools
import os
import textwrap
from pathlib import Path
from statistics import median

from gan_tf.config import DATASETS, OWN_IMAGES, RECIPES, TrainConfig
from gan_tf.report.rules import Finding, findings
from gan_tf.report.signals import (
    FEW_EPOCHS,
    counted,
    epochs_as_text,
    lead,
    listed,
    number,
    spikes,
)
from gan_tf.system.errors import flag

_FEW_IMAGES = 1000  # a generator may copy so few; it did with the 64 of the ill run tiny_data_set
_NAMES = {
    "fashion_mnist": "Fashion-MNIST",
    "mnist": "MNIST",
    "kmnist": "Kuzushiji-MNIST",
    "synthetic": "synthetic garments",
}
# Settings that the first sentence of a description states.
_STATED = ("learning_rate", "discriminator_learning_rate", "seed", "dataset", "batch_size")


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


def paragraph(run) -> str:
    """Returns what was trained, on which images and for how long."""
    config, last, environment = run.config, run.last, run.environment
    rates = number(config["learning_rate"])
    if config["discriminator_learning_rate"] not in (None, config["learning_rate"]):
        rates += f" (discriminator: {number(config['discriminator_learning_rate'])})"
    text = (
        f"This DCGAN was trained on {counted(run.training_images, 'image')} of"
        f" {_data_set(config['dataset'])} for {counted(last['epoch'], 'epoch')}"
        f" ({counted(last['step'], 'step')} with batches of"
        f" {min(config['batch_size'], run.training_images)}), using Adam with a learning"
        f" rate of {rates} and seed {config['seed']}."
    )
    if changed := _changed_settings(config):
        text += f" Other settings that differ from the defaults: {', '.join(changed)}."
    if config["ema_decay"]:
        text += " The images come from a moving average of the generator's weights."
    text += f" The epochs took {_duration(sum(row['seconds'] for row in run.history))} in total"
    if processor := environment.get("processor"):
        threads = environment.get("threads")
        text += f" on {processor} with {threads} thread{'' if threads == 1 else 's'}"
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
    ideas = []
    if not run.evaluation and config["dataset"] in DATASETS:
        ideas.append("Measure the quality of the images, which no loss shows (gan-tf evaluate).")
    if run.training_images < _FEW_IMAGES:
        ideas.append(
            "Check whether the generator copies its few training images (gan-tf neighbours)."
        )
    if not _is_best(config):
        ideas.append(
            "Train with --recipe best in another --run-dir: on Fashion-MNIST, this more than halved"
            " the distance to real images (docs/results.md)."
        )
    ideas.append(
        f"Train with another seed (--seed {config['seed'] + 1}, in another --run-dir) and compare"
        " the two runs (gan-tf report with both --run-dir), to see what is due to chance."
    )
    if config["batch_size"] == 64:
        ideas.append("Compare batches of 16 or 32 (--batch-size).")
    return " ".join(ideas)


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
    first, last = rows[0], rows[-1]
    text = (
        f"In epoch {first['epoch']}, the generator's loss is {first['generator_loss']:.3f} and the"
        f" discriminator's loss is {first['discriminator_loss']:.3f}"
    )
    if len(rows) > 1:
        text += (
            f"; in epoch {last['epoch']}, they are {last['generator_loss']:.3f} and"
            f" {last['discriminator_loss']:.3f}"
        )
    text += " (in nats, averaged over the epoch)."
    if len(rows) < FEW_EPOCHS:
        text += f" With fewer than {FEW_EPOCHS} epochs, there is no curve to describe yet."
        return [text, _who_is_ahead(rows)]
    paragraphs = [text + _extremes(rows), _opposition(rows), spikes(rows)[1], _who_is_ahead(rows)]
    return [paragraph for paragraph in paragraphs if paragraph]


def _extremes(rows):
    """Describes the extremes of the generator's loss that are not at an end, and its end."""
    losses = [row["generator_loss"] for row in rows]
    extremes = []
    for name, extreme in (("highest", max), ("lowest", min)):
        row = rows[losses.index(extreme(losses))]
        if row is not rows[0] and row is not rows[-1]:
            extremes.append(f"{name} in epoch {row['epoch']} ({row['generator_loss']:.3f})")
            if name == "highest":
                usual = median(row["generator_gradient_norm"] for row in rows)
                extremes[-1] += (
                    f" with a gradient norm of {row['generator_gradient_norm']:.3g} (median over"
                    f" all epochs: {usual:.3g})"
                )
    text = f" The generator's loss is {listed(extremes)}." if extremes else ""
    if abs(losses[-1] - losses[0]) < 0.03 * losses[0]:
        text += (
            " The generator's loss ends within 3% of where it started: compare the images of the"
            " two epochs."
        )
    return text


def _opposition(rows):
    """Describes how often one loss rises while the other falls."""
    opposite = sum(
        (after["generator_loss"] - before["generator_loss"])
        * (after["discriminator_loss"] - before["discriminator_loss"])
        < 0
        for before, after in itertools.pairwise(rows)
    )
    changes = len(rows) - 1
    meaning = ": what one network gains, the other loses" if opposite >= 0.75 * changes else ""
    return (
        "From one epoch to the next, one loss rises while the other falls in"
        f" {opposite} of {changes} cases{meaning}."
    )


def _who_is_ahead(rows):
    """Describes in how many epochs the discriminator is ahead, and where by the most."""
    widest, last = max(rows, key=lead), rows[-1]
    ahead = sum(lead(row) > 0 for row in rows)
    often = {0: "no epoch", len(rows): "every epoch"}.get(ahead, f"{ahead} of {len(rows)} epochs")
    where = (
        f"; the gap is widest in epoch {widest['epoch']} ({widest['real_probability']:.3f} and"
        f" {widest['fake_probability']:.3f})"
        if ahead and widest is not last
        else ""
    )
    return (
        f"On average, D(x) is above D(G(z)) in {often}{where}. In epoch {last['epoch']}, they are"
        f" {last['real_probability']:.3f} and {last['fake_probability']:.3f}."
    )


def _data_set(name):
    if name.startswith(OWN_IMAGES):
        return "an array"
    return _NAMES.get(name) or (Path(name).resolve().name if os.path.isdir(name) else name)


def _changed_settings(config):
    """Returns the flags that differ from the defaults; the best recipe by its name."""
    flags, stated = [], {*_STATED}
    if _is_best(config):
        flags, stated = ["--recipe best"], stated | RECIPES["best"].keys()
    for field in dataclasses.fields(TrainConfig):
        name, value = field.name, config[field.name]
        if field.metadata["decides_numbers"] and name not in stated and value != field.default:
            name = flag(name if value is not False else f"no_{name}")
            flags.append(name if isinstance(value, bool) else f"{name} {value}")
    return flags


def _is_best(config):
    return all(config[name] == value for name, value in RECIPES["best"].items())


def _duration(seconds):
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
