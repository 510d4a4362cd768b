"""The command line: flags to one call. TensorFlow is imported only by the commands that need it."""

import argparse
import dataclasses
import faulthandler
import os
import sys
import tempfile
import warnings
from json import dumps
from pathlib import Path

from gan_tf.config import TrainConfig
from gan_tf.console import say, say_finished
from gan_tf.errors import RunFailed, UserError, flag, with_flags
from gan_tf.files import check_name
from gan_tf.rundir import RunDir

_DEFAULT_RUN_DIR = TrainConfig().run_folder


def main(argv=None, command: str | None = None) -> int:
    """Runs one command and returns its exit code.

    Args:
      argv: the arguments, by default the process's own.
      command: the command that a script stands for; by default the first argument names it.
    """
    _open_missing_streams()
    if command:
        summary, add_flags = _COMMANDS[command]
        parser = _Parser(description=summary)
        add_flags(parser)
    else:
        parser = _Parser(
            prog="gan-tf", description="DCGAN on Fashion-MNIST, and the game behind it."
        )
        commands = parser.add_subparsers(metavar="COMMAND", required=True)
        for name, (summary, add_flags) in _COMMANDS.items():
            add_flags(commands.add_parser(name, help=summary, description=summary))
    arguments = vars(parser.parse_args(argv))
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        arguments.pop("run")(**arguments)
    except UserError as error:
        print(f"{parser.prog}: error: {with_flags(str(error))}", file=sys.stderr)
        return 2
    except RunFailed as error:
        print(f"{parser.prog}: failed: {with_flags(str(error))}", file=sys.stderr)
        return 1
    except MemoryError:
        print(f"{parser.prog}: failed: not enough memory", file=sys.stderr)
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


def _open_missing_streams():
    """Opens what a shell has closed (`2>&-`), lest the next file takes its number."""
    for number, name in [(1, "stdout"), (2, "stderr")]:
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, open(number, "w", encoding="utf-8"))


def _train_flags(parser):
    for field in dataclasses.fields(TrainConfig):
        kind, explanation = field.metadata["kind"], field.metadata["help"]
        several = isinstance(field.default, tuple)
        default = " ".join(map(str, field.default)) if several else field.default
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
        help="replace the run in the folder by a new one, from epoch 0",
    )
    parser.add_argument(
        "--distribute",
        metavar="NAME",
        help="share each batch: workers (those in TF_CONFIG), slurm (the tasks of srun), mirrored"
        " (all GPUs of this machine); default: one process, one device",
    )
    parser.add_argument(
        "--join-seconds",
        type=int,
        default=300,
        metavar="N",
        help="how long to wait for the other workers (default: 300)",
    )
    parser.set_defaults(run=_train)


def _train(overwrite, distribute, join_seconds, **choices):
    config = TrainConfig(**choices)
    run = RunDir(config.run_folder)
    if not overwrite and run.is_finished(config):  # said here too, without TensorFlow
        say_finished(run.path, config.epochs)
        return
    _import_tensorflow()
    from gan_tf.training import train

    train(config, overwrite=overwrite, distribute=distribute, join_seconds=join_seconds)


def _gif_flags(parser):
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


def _gif(run_dir, **choices):
    from gan_tf import artifacts

    say(artifacts.write_gif(RunDir(run_dir), **choices))


def _draw_flags(parser):
    _add_run_dir(parser)
    parser.add_argument(
        "--epochs",
        type=int,
        nargs="+",
        metavar="N",
        help="which ones to lay side by side (default: --snapshot-epochs of the run, and the last)",
    )
    parser.set_defaults(run=_draw)


def _draw(run_dir, epochs):
    from gan_tf import artifacts

    say("\n".join(map(str, artifacts.draw(RunDir(run_dir), epochs))))


def _sample_flags(parser):
    _add_source(parser)
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


def _sample(count, seed, training_noise, format, output, **source):
    if training_noise and not (count is None and seed is None):
        raise UserError("--training-noise has a count and a seed of its own: drop --count, --seed")
    if output is None:
        output = Path("" if source["pretrained"] else source["run_dir"], f"samples.{format}")
    check_name(output)
    snapshot = _load_snapshot(**source)
    from gan_tf.snapshots import write_images

    if training_noise:
        images = snapshot.sample_training_noise()
    else:
        images = snapshot.sample(64 if count is None else count, seed or 0)
    write_images(output, images, format)
    say(f"{output}: {len(images)} images from {snapshot.origin}")


def _minimax_flags(parser):
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
        default=str(_DEFAULT_RUN_DIR),
        metavar="NAME",
        help=f"folder of the run (default: {_DEFAULT_RUN_DIR})",
    )


def _add_source(parser):
    """Flags for where a trained generator comes from; `_load_snapshot` takes them."""
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


def _load_snapshot(run_dir, pretrained, epoch):
    if pretrained and epoch is not None:
        raise UserError("--pretrained has an epoch of its own: drop --epoch")
    _import_tensorflow()
    from gan_tf.snapshots import load_pretrained, load_snapshot

    return load_pretrained() if pretrained else load_snapshot(run_dir, epoch)


def _import_tensorflow():
    """Imports TensorFlow without its greetings on standard error, but hides nothing that fails.

    They come from native code before it looks at any log level, so the descriptor itself is turned
    away for the time of the import. A crash in native code is still reported, by faulthandler.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever other programs of the user need
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
    tensorflow.keras.config.set_floatx("float32")  # for the same reason
    tensorflow.keras.config.set_image_data_format("channels_last")


_COMMANDS = {
    "train": ("Train the DCGAN, or go on with a run that was stopped.", _train_flags),
    "gif": ("Make an animated GIF of a run's training progress.", _gif_flags),
    "draw": ("Draw a run's loss curves and its epochs side by side again.", _draw_flags),
    "sample": ("Draw images from a trained generator.", _sample_flags),
    "minimax": ("Solve the minimax game of the homework, run it, and draw it.", _minimax_flags),
    "benchmark": ("Time the training step on this machine, way by way.", _benchmark_flags),
}
