"""A run in words: its paragraph, its verdict, and part (f) of the assignment.

A sentence is written only where the run's tables bear it out: tests/report/test_sentences.py takes
each one apart.
"""

import dataclasses
import itertools
import os
from pathlib import Path
from statistics import median

from gan_tf.config import DATASETS, OWN_IMAGES, RECIPES, TrainConfig
from gan_tf.report.rules import Finding
from gan_tf.report.signals import (
    FEW_EPOCHS,
    FEW_IMAGES,
    counted,
    has,
    lead,
    listed,
    number,
    spikes_in_words,
    training_images,
)

_NAMES = {
    "fashion_mnist": "Fashion-MNIST",
    "mnist": "MNIST",
    "kmnist": "Kuzushiji-MNIST",
    "synthetic": "synthetic garments",
}
# The paragraph names these itself.
_NAMED = ("learning_rate", "discriminator_learning_rate", "seed", "dataset", "batch_size")


def paragraph(run) -> str:
    """Returns what was trained, on what and how long, in one paragraph."""
    config, last = run.config, run.last
    count = training_images(run)
    batch = min(config["batch_size"], count or config["batch_size"])
    rates = number(config["learning_rate"])
    if config["discriminator_learning_rate"] not in (None, config["learning_rate"]):
        rates += f" (discriminator: {number(config['discriminator_learning_rate'])})"
    text = (
        f"A DCGAN trained on {counted(count, 'image') if count else 'images'} of"
        f" {_data_set(config['dataset'])} for {counted(last['epoch'], 'epoch')}"
        f" ({counted(last['step'], 'step')} with batches of {batch}), with Adam at a"
        f" learning rate of {rates} and seed {config['seed']}."
    )
    if changed := _changed_settings(config):
        text += f" Settings that are not the defaults: {', '.join(changed)}."
    if config["ema_decay"]:
        text += " The images are drawn from an average of the generator's weights."
    seconds = [value for value in run.column("seconds") if value is not None]
    if seconds:
        text += f" The epochs took {_duration(sum(seconds))}"
        processor, threads = (run.environment.get(name) for name in ("processor", "threads"))
        plural = "" if threads == 1 else "s"
        text += f" on {threads} thread{plural} of {processor}." if processor else "."
    return text


def verdict(found: list[Finding]) -> tuple[str, str]:
    """Returns the level of the first finding, "sound" if it is a note or none, and a sentence."""
    titles = [finding.title for finding in found if finding.level != "note"]
    if not titles:
        return "sound", "A sound run: nothing here calls for starting again or for training on."
    return found[0].level, ". ".join(titles) + "."


def what_next(run) -> str:
    """Returns what one may try after a sound run."""
    config = run.config
    tries = []
    if not run.evaluation and config["dataset"] in DATASETS:
        tries.append("measure the images, which no loss does (gan-tf evaluate)")
    if (training_images(run) or FEW_IMAGES) < FEW_IMAGES:
        tries.append(
            "see whether the generator copies training images, as there are few (gan-tf neighbours)"
        )
    if not _is_best(config):
        tries.append(
            "train with --recipe best in another --run-dir: on Fashion-MNIST this brought the"
            " distance to real images to less than half (docs/results.md)"
        )
    tries.append(
        f"train again from another seed (--seed {config['seed'] + 1}, in another --run-dir) and lay"
        " the two side by side (gan-tf report with two --run-dir), to see what is chance"
    )
    if config["batch_size"] == 64:
        tries.append("compare with batches of 16 or 32 (--batch-size)")
    text = "; ".join(tries)
    return text[0].upper() + text[1:] + "."


def figures(run) -> list[tuple[str, str]]:
    """Returns the few numbers of a run that one reads first, each with what it counts."""
    last = run.last
    found = [(f"{last['epoch']}", "epoch" if last["epoch"] == 1 else "epochs")]
    for name, words in (
        ("generator_loss", "generator loss"),
        ("discriminator_loss", "discriminator loss"),
    ):
        if last.get(name) is not None:
            found.append((f"{last[name]:.3f}", words))
    if by_epoch := run.variety():
        found.append((f"{by_epoch[max(by_epoch)]:.2f}", "variety"))
    if run.evaluation and run.evaluation[-1].get("fcd") is not None:
        found.append((f"{run.evaluation[-1]['fcd']:.3g}", "FCD"))
    return found


def part_f(run) -> list[str]:
    """Returns what the losses did, as paragraphs; none where an epoch has no losses."""
    rows = run.history
    if not has(rows, "generator_loss", "discriminator_loss"):
        return []
    first, last = rows[0], rows[-1]
    text = (
        f"In epoch {first['epoch']} the generator's loss is {first['generator_loss']:.3f} and the"
        f" discriminator's {first['discriminator_loss']:.3f}"
    )
    if len(rows) > 1:
        text += (
            f"; in epoch {last['epoch']} they are {last['generator_loss']:.3f} and"
            f" {last['discriminator_loss']:.3f}"
        )
    text += " (nats, means over an epoch)."
    if len(rows) < FEW_EPOCHS:
        paragraphs = [f"{text} With fewer than {FEW_EPOCHS} epochs there is no curve to speak of."]
    else:
        paragraphs = [text + _extremes(rows), _together(rows), spikes_in_words(rows)]
    if has(rows, "real_probability", "fake_probability"):
        paragraphs.append(_who_is_ahead(rows))
    return [paragraph for paragraph in paragraphs if paragraph]


def _extremes(rows):
    """Says where the generator's loss is highest and lowest, if within the run, and how it ends."""
    losses = [row["generator_loss"] for row in rows]
    within = []
    for name, extreme in (("highest", max), ("lowest", min)):
        row = rows[losses.index(extreme(losses))]
        if row is not rows[0] and row is not rows[-1]:
            within.append(f"{name} in epoch {row['epoch']} ({row['generator_loss']:.3f})")
            if name == "highest" and has(rows, "generator_gradient_norm"):
                usual = median(row["generator_gradient_norm"] for row in rows)
                within[-1] += (
                    f" with a gradient of norm {row['generator_gradient_norm']:.3g} (median of all"
                    f" epochs: {usual:.3g})"
                )
    text = f" The generator's loss is {listed(within)}." if within else ""
    if abs(losses[-1] - losses[0]) < 0.03 * losses[0]:
        text += (
            " The generator's loss ends within 3% of where it began: compare the images of the two"
            " epochs."
        )
    return text


def _together(rows):
    """Says how often one loss rises as the other falls."""
    opposite = sum(
        (after["generator_loss"] - before["generator_loss"])
        * (after["discriminator_loss"] - before["discriminator_loss"])
        < 0
        for before, after in itertools.pairwise(rows)
    )
    meaning = ": what one gains, the other loses" if opposite >= 0.75 * (len(rows) - 1) else ""
    return (
        "From one epoch to the next, one loss rises while the other falls in"
        f" {opposite} of {len(rows) - 1} cases{meaning}."
    )


def _who_is_ahead(rows):
    """Says in how many epochs the discriminator tells the two kinds apart, and where best."""
    widest, last = max(rows, key=lead), rows[-1]
    ahead = sum(lead(row) > 0 for row in rows)
    often = {0: "no epoch", len(rows): "every epoch"}.get(ahead, f"{ahead} of {len(rows)} epochs")
    where = (
        f", furthest in epoch {widest['epoch']} ({widest['real_probability']:.3f} and"
        f" {widest['fake_probability']:.3f})"
        if ahead and widest is not last
        else ""
    )
    return (
        f"On average D(x) is above D(G(z)) in {often}{where}. In epoch {last['epoch']} they are"
        f" {last['real_probability']:.3f} and {last['fake_probability']:.3f}."
    )


def _data_set(name):
    if name.startswith(OWN_IMAGES):
        return "an array"
    return _NAMES.get(name) or (Path(name).resolve().name if os.path.isdir(name) else name)


def _changed_settings(config):
    """Returns the flags of what is not the default; those of the best recipe by its name."""
    is_best = _is_best(config)
    named = {*_NAMED, *(RECIPES["best"] if is_best else ())}
    flags = ["--recipe best"] if is_best else []
    for field in dataclasses.fields(TrainConfig):
        value = config[field.name]
        if field.metadata["decides_numbers"] and field.name not in named and value != field.default:
            flag = field.name.replace("_", "-")
            on_off = {True: f"--{flag}", False: f"--no-{flag}"}
            flags.append(on_off[value] if isinstance(value, bool) else f"--{flag} {value}")
    return flags


def _is_best(config):
    return all(config[name] == value for name, value in RECIPES["best"].items())


def _duration(seconds):
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
