"""A run in words: its paragraph, its verdict, and part (f) of the homework."""

import math

from gan_tf.report.rules import Finding
from gan_tf.report.signals import has, listed, slips, training_images, turning_points

_DATASETS = {
    "fashion_mnist": "Fashion-MNIST",
    "mnist": "MNIST",
    "kmnist": "Kuzushiji-MNIST",
    "synthetic": "synthetic garments",
}
LN_2 = math.log(2)
_TURN_RATIO = 1.15  # a smaller way back of the generator's loss is not told as a turn
_SLIP_RATIO = 1.05  # a smaller leap is hardly seen on the curve


def paragraph(run) -> str:
    """Returns what was trained, on what and how long, in one paragraph."""
    config, last = run.config, run.last
    count = training_images(run)
    rates = f"{config['learning_rate']:g}"
    if config["discriminator_learning_rate"] not in (None, config["learning_rate"]):
        rates += f" (discriminator: {config['discriminator_learning_rate']:g})"
    text = (
        f"A DCGAN trained on {f'{count:,} images' if count else 'images'} of"
        f" {_DATASETS.get(config['dataset'], config['dataset'])}"
        f" for {_counted(last['epoch'], 'epoch')}"
        f" ({last['step']:,} steps of {config['batch_size']} images),"
        f" with Adam at a learning rate of {rates} and seed {config['seed']}."
    )
    seconds = [value for value in run.column("seconds") if value is not None]
    if seconds:
        text += f" Training took {_duration(sum(seconds))}"
        processor = run.environment.get("processor")
        text += (
            f" on {run.environment.get('threads')} threads of {processor}." if processor else "."
        )
    return text


def verdict(found: list[Finding]) -> tuple[str, str]:
    """Returns the worst level, "sound" where there is neither alarm nor advice, and a sentence."""
    alarms = [finding for finding in found if finding.level == "alarm"]
    advice = [finding for finding in found if finding.level == "advice"]
    if alarms:
        titles = "; ".join(finding.title[0].lower() + finding.title[1:] for finding in alarms)
        return "alarm", f"This run is ill: {titles}."
    if advice:
        titles = "; ".join(finding.title[0].lower() + finding.title[1:] for finding in advice)
        return "advice", f"Nothing is broken, but: {titles}."
    text = "A sound run: the two networks stayed in balance, and no remedy is called for."
    return "sound", text


def what_next(run) -> str:
    """Returns what one may try after a run that needs no remedy."""
    config = run.config
    tries = []
    if not run.evaluation:
        tries.append("measure the images, which no loss does (gan-tf evaluate --all-epochs)")
    tries.append(
        f"train again from another seed (--seed {config['seed'] + 1}, in another --run-dir) and lay"
        " the two side by side (gan-tf report with two --run-dir), to see what is chance"
    )
    if config["batch_size"] == 64:
        tries.append("compare with batches of 16 or 32 (--batch-size)")
    if not config["ema_decay"]:
        tries.append("draw from an average of the weights (--ema-decay 0.999)")
    return "; ".join(tries)[0].upper() + "; ".join(tries)[1:] + "."


def part_f(run) -> list[str]:
    """Returns what the losses did, turn by turn, as paragraphs; empty where there are no losses."""
    rows = _rows_with_losses(run)
    if not rows:
        return []
    first, last = rows[0], rows[-1]
    paragraphs = [
        f"In epoch {first['epoch']} the generator's loss is {first['generator_loss']:.3f} and the"
        f" discriminator's {first['discriminator_loss']:.3f} (nats, means over the epoch)."
    ]
    if len(rows) == 1:
        return paragraphs + ["With a single epoch there is no curve to speak of yet."]
    paragraphs[0] += " " + _mirror(rows)
    if slipped := slips(run, _SLIP_RATIO):
        shown = [f"{epoch} ({run.history[epoch - 1]['generator_loss']:.3f})" for epoch in slipped]
        paragraphs.append(
            f"In {'epochs' if len(shown) > 1 else 'epoch'} {listed(shown)} the generator's loss"
            " leaps and falls back: a slip, which the images of these epochs may show."
        )
    if has(rows, "real_probability", "fake_probability"):
        paragraphs.append(_who_is_ahead(rows))
    gradients = "generator_gradient_norm"
    if has(rows, gradients):
        top = max(rows, key=lambda row: row["generator_loss"])
        paragraphs.append(
            f"The generator's loss is highest in epoch {top['epoch']},"
            f" {top['generator_loss']:.3f}, where the norm of its gradient is"
            f" {top[gradients]:.3g}; in the last epoch that is {last[gradients]:.3g}."
        )
    paragraphs.append(
        f"A discriminator that cannot tell says 1/2 to everything; the losses are then ln 2 ="
        f" {LN_2:.3f} and 2 ln 2 = {2 * LN_2:.3f}. The run ends at {last['generator_loss']:.3f} and"
        f" {last['discriminator_loss']:.3f}."
    )
    return paragraphs


def legs(run) -> list[dict]:
    """Returns the ways of the generator's loss from each turn to the next: rows `start` and `end`.

    A turn is told once the loss has gone back by 15 %.
    """
    turns = [row for row in turning_points(run, _TURN_RATIO) if has([row], "discriminator_loss")]
    return [
        {"start": start, "end": end, "rises": end["generator_loss"] > start["generator_loss"]}
        for start, end in zip(turns, turns[1:])
    ]


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


def part_f_meaning(run) -> list[str]:
    """Returns what the losses of part (f) do and do not mean, as paragraphs."""
    rows = [row for row in run.history if row.get("generator_loss") is not None]
    pair = _same_loss_twice(rows)
    evidence = (
        f" In this run the generator's loss is {pair[0]['generator_loss']:.3f} in epoch"
        f" {pair[0]['epoch']} and {pair[1]['generator_loss']:.3f} in epoch {pair[1]['epoch']}:"
        " compare the images of the two."
        if pair
        else ""
    )
    return [
        "Neither loss measures the images. Each is measured against an opponent that moves, so that"
        " a falling generator loss can mean better images or a weaker discriminator." + evidence,
        "Flat or swinging curves are what a game looks like, not a failure to learn. That both"
        " losses end near the level of chance is no proof of quality either: an untrained pair is"
        " near it too.",
        "Who is ahead is told by D(x) and D(G(z)), and by how often the discriminator is right. All"
        " are measured while training, with Dropout on. How good the images are is told by looking"
        " at them, or by evaluating them.",
        "A high generator loss does not mean that its gradient vanishes: the loss that is used,"
        " −log D(G(z)), is steepest where the discriminator wins.",
        "One run is one sample. Another seed gives other values and other turns; what holds for all"
        " seeds cannot be told from one.",
    ]


def _rows_with_losses(run):
    names = ("generator_loss", "discriminator_loss")
    return [row for row in run.history if all(row.get(name) is not None for name in names)]


def _mirror(rows):
    """Says how the two losses move together, by their correlation from epoch to epoch."""
    g = [row["generator_loss"] for row in rows]
    d = [row["discriminator_loss"] for row in rows]
    mean_g, mean_d = sum(g) / len(g), sum(d) / len(d)
    both = sum((a - mean_g) * (b - mean_d) for a, b in zip(g, d))
    size = math.sqrt(sum((a - mean_g) ** 2 for a in g) * sum((b - mean_d) ** 2 for b in d))
    if not size:
        return "Neither moves."
    r = both / size
    if r < -0.7:
        both_ways = "what one gains, the other loses"
        return f"The curves mirror each other (correlation −{abs(r):.2f}): {both_ways}."
    if r > 0.7:
        return f"The curves rise and fall together (correlation {r:.2f})."
    return f"The curves are only loosely tied (correlation {r:.2f})."


def _who_is_ahead(rows):
    def lead(row):
        return row["real_probability"] - row["fake_probability"]

    far, last = max(rows, key=lead), rows[-1]
    return (
        f"The discriminator is furthest ahead in epoch {far['epoch']}: it gives real images"
        f" {far['real_probability']:.3f} and generated ones {far['fake_probability']:.3f} on"
        f" average. In the last epoch that is {last['real_probability']:.3f} and"
        f" {last['fake_probability']:.3f}" + (": hardly ahead." if abs(lead(last)) < 0.05 else ".")
    )


def _same_loss_twice(rows):
    """Finds the last epoch's loss again in the first third of the run, within 3 %."""
    last = rows[-1] if rows else None
    for row in rows[: len(rows) // 3]:
        if abs(row["generator_loss"] - last["generator_loss"]) < 0.03 * last["generator_loss"]:
            return row, last
    return None


def _counted(number, noun):
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _duration(seconds):
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
