"""Measures the time of a training step on this machine, for each way of computing it."""

import itertools
import time

import numpy as np
import tensorflow as tf

from gan_tf.config import PRECISIONS, TrainConfig
from gan_tf.gan import Gan
from gan_tf.noise import make_noise
from gan_tf.snapshots import Snapshot
from gan_tf.system import environment

BATCH_SIZES = (16, 32, 64)
_ROUNDS = 9
_SECONDS_PER_TURN = 0.5
_TRAINING_IMAGES = 60_000
_SAMPLES = 10_000


def benchmark() -> dict:
    """Times the training step of `train`, and the sampling of images.

    The ways of computing take turns, so that a change of the machine's speed affects all of them.
    Each speed-up compares two turns of the same round.

    Returns:
      environment: as in config.json.
      steps: a list of dicts, one for each batch size, kind of layers (`fast` or plain Keras) and
        precision: median `milliseconds` of a step, `images_per_second`, `hours` for 50 epochs of
        60,000 images, and `speedup` against plain Keras layers in float32: `median`, `low` and
        `high` over 9 rounds.
      sampled_images_per_second: for 10,000 images.
    """
    return {
        "environment": environment.describe(),
        "steps": [row for batch_size in BATCH_SIZES for row in _time_steps(batch_size)],
        "sampled_images_per_second": _time_sampling(),
    }


def _time_steps(batch_size):
    ways = [(fast, precision) for fast in (False, True) for precision in PRECISIONS]
    turns = [_make_turn(batch_size, *way) for way in ways]
    seconds = np.array([[turn() for turn in turns] for _ in range(_ROUNDS)])  # [rounds, ways]
    speedups = seconds[:, :1] / seconds
    medians = np.median(seconds, axis=0)
    return [
        {
            "batch_size": batch_size,
            "fast": fast,
            "precision": precision,
            "milliseconds": 1000 * medians[way],
            "images_per_second": batch_size / medians[way],
            "hours": medians[way] * 50 * _TRAINING_IMAGES / batch_size / 3600,
            "speedup": dict(
                zip(("low", "median", "high"), np.quantile(speedups[:, way], (0, 0.5, 1)))
            ),
        }
        for way, (fast, precision) in enumerate(ways)
    ]


def _make_turn(batch_size, fast, precision):
    """Returns a function that runs steps for half a second, and returns the seconds per step."""
    gan = Gan(TrainConfig(batch_size=batch_size, fast=fast, precision=precision))
    noise = make_noise(batch_size, TrainConfig.latent_dim, seed=0, index=0)
    images = tf.random.stateless_uniform([batch_size, 28, 28, 1], [0, 0], -1, 1)

    def step():
        metrics = gan.train_step(images, noise)
        return float(metrics["generator_loss"])  # waits for the step to finish

    step()  # traces
    step()

    def turn():
        start_time = time.perf_counter()
        for count in itertools.count(1):
            step()
            elapsed = time.perf_counter() - start_time
            if elapsed > _SECONDS_PER_TURN:
                return elapsed / count

    return turn


def _time_sampling():
    config = TrainConfig()
    gan = Gan(config)
    snapshot = Snapshot(gan.generator, gan.fixed_noise, config, {}, None, "no run")
    snapshot.sample(1)
    start_time = time.perf_counter()
    snapshot.sample(_SAMPLES)
    return _SAMPLES / (time.perf_counter() - start_time)


def as_table(result: dict) -> str:
    """Returns the result of `benchmark` as text with a Markdown table."""
    machine = result["environment"]
    lines = [
        f"{machine['processor']}, {machine['threads']} cores, {machine['gpus']} GPUs,"
        f" TensorFlow {machine['tensorflow']}"
        + (", TF_ENABLE_ONEDNN_OPTS=1" if machine["onednn_asked"] else ""),
        "",
        "| batch | layers | precision | ms/step | images/s | 50 epochs | speed-up (low to high) |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in result["steps"]:
        speedup = row["speedup"]
        lines.append(
            f"| {row['batch_size']} | {'fast' if row['fast'] else 'Keras'} | {row['precision']} |"
            f" {row['milliseconds']:.1f} | {row['images_per_second']:.0f} | {row['hours']:.1f} h |"
            f" {speedup['median']:.2f} ({speedup['low']:.2f} to {speedup['high']:.2f}) |"
        )
    lines += ["", f"{result['sampled_images_per_second']:.0f} images/s sampled by gan-tf sample"]
    return "\n".join(lines)
