"""The command line: flags to one call. TensorFlow is imported only by the commands that need it."""

import argparse
import dataclasses
import faulthandler
import os
import sys
import tempfile
import typing
import warnings
from json import dumps
from pathlib import Path

from gan_tf.config import TrainConfig, flag
from gan_tf.errors import RunFailed, UserError
from gan_tf.progress import say

_DEFAULT_RUN_DIR = TrainConfig().run_dir


def main(argv=None, command: str | None = None) -> int:
    """Runs one command and returns its exit code.

    Args:
      argv: the arguments, by default the process's own.
      command: the command that a script stands for; by default the first argument names it.
    """
    if command:
        parser = _Parser(description=_COMMANDS[command].__doc__)
        _COMMANDS[command](parser)
    else:
        parser = _Parser(
            prog="gan-tf", description="DCGAN on Fashion-MNIST, and the game behind it."
        )
        commands = parser.add_subparsers(metavar="COMMAND", required=True)
        for name, add_flags in _COMMANDS.items():
            summary = add_flags.__doc__
            add_flags(commands.add_parser(name, help=summary, description=summary))
    arguments = vars(parser.parse_args(argv))
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        arguments.pop("run")(**arguments)
    except UserError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    except RunFailed as error:
        print(f"{parser.prog}: failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage before it; guesses no shortened flags."""

    def __init__(self, **options):
        super().__init__(allow_abbrev=False, **options)

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n")


def _train_flags(parser):
    """Train the DCGAN, or go on with a run that was stopped."""
    for field in dataclasses.fields(TrainConfig):
        kind = (typing.get_args(field.type) or [field.type])[0]  # of int | None, tuple[int, ...]
        several = isinstance(field.default, tuple)
        default = " ".join(map(str, field.default)) if several else field.default
        explanation = field.metadata["help"]
        if kind is bool:
            parser.add_argument(
                flag(field.name),
                action=argparse.BooleanOptionalAction,
                default=field.default,
                help=f"{explanation} (default: {'on' if field.default else 'off'})",
            )
            continue
        parser.add_argument(
            flag(field.name),
            type=kind,
            nargs="+" if several else None,
            default=field.default,
            metavar={int: "N", float: "X", str: "NAME"}[kind],
            help=explanation if default is None else f"{explanation} (default: {default})",
        )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="remove the run in the folder and start again from epoch 0",
    )
    parser.set_defaults(run=_train)


def _train(overwrite, **choices):
    config = TrainConfig(**choices)
    _import_tensorflow()
    from gan_tf.training import train

    train(config, overwrite=overwrite)


def _gif_flags(parser):
    """Make an animated GIF of a run's training progress."""
    _add_run_dir(parser)
    parser.add_argument(
        "--output", metavar="FILE", help="default: training.gif in the run's folder"
    )
    parser.add_argument(
        "--frame-ms", type=int, default=200, metavar="N", help="time per epoch (default: 200)"
    )
    parser.add_argument(
        "--hold-ms", type=int, default=2000, metavar="N", help="time of the last (default: 2000)"
    )
    parser.set_defaults(run=_gif)


def _gif(run_dir, output, frame_ms, hold_ms):
    from gan_tf.rundir import RunDir

    say(RunDir(run_dir).write_gif(output, frame_ms, hold_ms))


def _sample_flags(parser):
    """Draw images from the generator of a run, or from the one that comes with gan_tf."""
    source = parser.add_mutually_exclusive_group()
    _add_run_dir(source)
    source.add_argument(
        "--pretrained",
        action="store_true",
        help="take the generator that comes with gan_tf, trained on Fashion-MNIST for 50 epochs",
    )
    parser.add_argument(
        "--epoch", type=int, metavar="N", help="which snapshot (default: the latest)"
    )
    parser.add_argument("--count", type=int, metavar="N", help="how many images (default: 64)")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of the noise (default: 0)")
    parser.add_argument(
        "--training-noise",
        action="store_true",
        help="draw the noise of the run's own grids instead: the same PNG, byte for byte"
        " (pretrained: within one grey level of 255)",
    )
    parser.add_argument(
        "--format",
        choices=["png", "npy"],
        default="png",
        help="a grid, or the array [count, 28, 28, 1] float32 in [-1, 1] (default: png)",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="default: samples.png or .npy, in the run's folder or, pretrained, in the current one",
    )
    parser.set_defaults(run=_sample)


def _sample(run_dir, pretrained, epoch, count, seed, training_noise, format, output):
    if training_noise and not (count is None and seed is None):
        raise UserError("--training-noise has a count and a seed of its own: drop --count, --seed")
    if pretrained and epoch is not None:
        raise UserError("--pretrained has an epoch of its own: drop --epoch")
    _import_tensorflow()
    from gan_tf import sampling
    from gan_tf.pretrained import load_pretrained

    snapshot = load_pretrained() if pretrained else sampling.load_snapshot(run_dir, epoch)
    if training_noise:
        images = snapshot.sample_training_noise()
    else:
        images = snapshot.sample(64 if count is None else count, seed or 0)
    output = Path(output or Path("" if pretrained else run_dir, f"samples.{format}"))
    sampling.write_images(output, images, format)
    say(f"{output}: {len(images)} images from {snapshot.origin}")


def _minimax_flags(parser):
    """Solve the minimax game of the homework, run it, and draw it."""
    parser.add_argument(
        "--game",
        type=float,
        nargs=3,
        default=[4.0, 4.0, 0.0],
        metavar=("A", "B", "C"),
        help="f(x, y) = A x^2 + C xy - B y^2 (default: 4 4 0)",
    )
    parser.add_argument("--start", type=float, nargs=2, metavar=("X", "Y"), help="default: 1 1")
    parser.add_argument("--step-x", type=float, metavar="X", help="step size of x (default: 1/16)")
    parser.add_argument("--step-y", type=float, metavar="X", help="step size of y (default: 1/16)")
    parser.add_argument("--steps", type=int, metavar="N", help="length of a run (default: 50)")
    parser.add_argument(
        "--output-dir",
        metavar="NAME",
        help="folder for the figures (default: minimax; with --json none are drawn by default)",
    )
    parser.add_argument("--json", action="store_true", help="print the answers as one JSON object")
    parser.set_defaults(run=_minimax)


def _minimax(game, output_dir, json, **choices):
    from gan_tf import minimax_answers
    from gan_tf.minimax import QuadraticGame

    game = QuadraticGame(*game)
    choices = {name: value for name, value in choices.items() if value is not None}
    if json:
        say(dumps(minimax_answers.report(game, **choices), indent=2))
    else:
        say(minimax_answers.answers(game, **choices))
        output_dir = output_dir or "minimax"
    if output_dir:
        from gan_tf.minimax_figures import write_figures

        paths = write_figures(game, **choices, output_dir=output_dir)
        if not json:
            say("\n".join(["", "drawn:", *(f"  {path}" for path in paths)]))


def _benchmark_flags(parser):
    """Time the training step on this machine, each way of computing it side by side."""
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.set_defaults(run=_benchmark)


def _benchmark(json):
    _import_tensorflow()
    from gan_tf import benchmark

    result = benchmark.benchmark()
    say(dumps(result, indent=2) if json else benchmark.as_table(result))


def _add_run_dir(parser):
    parser.add_argument(
        "--run-dir",
        default=_DEFAULT_RUN_DIR,
        metavar="NAME",
        help=f"folder of the run (default: {_DEFAULT_RUN_DIR})",
    )


def _import_tensorflow():
    """Imports TensorFlow without its greetings on standard error, but hides nothing that fails.

    They come from native code before it looks at any log level, so the descriptor itself is turned
    away for the time of the import. A crash in native code is still reported, by faulthandler.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        faulthandler.enable(terminal)
        try:
            import tensorflow
        except BaseException:
            held_back.seek(0)
            os.write(terminal, held_back.read())
            raise
        finally:
            faulthandler.disable()
            os.dup2(terminal, 2)
            os.close(terminal)
    tensorflow.get_logger().setLevel("ERROR")


_COMMANDS = {
    "train": _train_flags,
    "gif": _gif_flags,
    "sample": _sample_flags,
    "minimax": _minimax_flags,
    "benchmark": _benchmark_flags,
}
