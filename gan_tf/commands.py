"""Each command: its flags, and the function that it calls.

The first line of a command's docstring is its description in the help. Only the commands that need
TensorFlow import it.
"""

import argparse
import contextlib
import dataclasses
import sys
import typing
from fractions import Fraction
from pathlib import Path

from gan_tf.config import MOST_IMAGES, RECIPES, TrainConfig, whole_number
from gan_tf.run.rundir import RunDir, check_output, load_config
from gan_tf.system import console
from gan_tf.system.console import say, say_finished, say_json
from gan_tf.system.errors import UserError, flag

_DEFAULT_RUN_DIR = str(TrainConfig().run_folder)


def import_tensorflow():
    """Imports TensorFlow without its log lines, and sets Keras up as the networks need it.

    A program that has imported Keras before keeps its own settings; they are checked later.
    """
    own = "keras" not in sys.modules
    console.import_tensorflow()
    import tensorflow

    tensorflow.get_logger().setLevel("ERROR")
    if own:  # keras.json may say otherwise
        tensorflow.keras.config.set_floatx("float32")
        tensorflow.keras.config.set_image_data_format("channels_last")


def _train_flags(parser):
    best = " ".join(f"{flag(name)} {value}" for name, value in RECIPES["best"].items())
    parser.add_argument(
        "--recipe",
        choices=RECIPES,
        help=f"sets what is not given: best is {best} (default: homework)",
    )
    for field in dataclasses.fields(TrainConfig):
        _add_setting(parser, field)
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--resume",
        action="store_true",
        help="resume the run in the folder with its recorded settings; --epochs may be raised",
    )
    instead.add_argument(
        "--overwrite",
        action="store_true",
        help="start again from epoch 0, in place of the run in the folder",
    )
    parser.add_argument("--quiet", action="store_true", help="print only warnings and errors")
    parser.add_argument(
        "--distribute",
        choices=["workers", "slurm", "mirrored"],
        help="divide each batch among workers (of TF_CONFIG), slurm (tasks of srun) or mirrored"
        " (all GPUs of this machine); default: one process, one device",
    )
    _add_number(parser, "--join-seconds", "how long to wait for the other workers", default=300)


def _train(recipe, resume, overwrite, quiet, distribute, join_seconds, **choices):
    """Train the DCGAN, or resume a run that was stopped."""
    if resume:
        _refuse("`resume` takes the recorded settings of the run", {"recipe": recipe})
    choices = RECIPES[recipe or "homework"] | choices
    config = TrainConfig(**choices)
    run = RunDir(config.run_folder)
    if resume:
        config = dataclasses.replace(load_config(run.path), **choices | {"run_dir": run.path})
    with console.quiet() if quiet else contextlib.nullcontext():
        if not overwrite and run.is_finished(config):  # reported without importing TensorFlow
            say_finished(run.path, config.epochs)
            return
        try:
            import_tensorflow()
            from gan_tf.training import train

            train(config, overwrite=overwrite, distribute=distribute, join_seconds=join_seconds)
        except KeyboardInterrupt as interruption:
            step = max(run.checkpoint_steps(), default=0)
            saved = f"the run resumes from step {step}" if step else "nothing was saved"
            raise KeyboardInterrupt(saved) from interruption


def _gif_flags(parser):
    _add_run_dir(parser)
    _add_output(parser, "training.gif in the run's folder")
    _add_number(parser, "--frame-ms", "milliseconds per epoch", default=200)
    _add_number(parser, "--hold-ms", "milliseconds of the last epoch", default=2000)


def _gif(run_dir, output, **durations):
    """Make an animated GIF of a run's training progress."""
    from gan_tf.run import artifacts

    run = RunDir(run_dir)
    output, _ = _output(output, run.gif_path, ["gif"])
    say(artifacts.write_gif(run, output, **durations))


def _draw_flags(parser):
    _add_run_dir(parser)
    help = "epochs to show side by side (default: --snapshot-epochs of the run, and the last)"
    _add_number(parser, "--epochs", help, nargs="+")


def _draw(run_dir, epochs):
    """Plot a run's loss curves and its epochs side by side again."""
    from gan_tf.run import artifacts

    say("\n".join(map(str, artifacts.plot(RunDir(run_dir), epochs))))


def _sample_flags(parser):
    _add_source(parser)
    _add_number(parser, "--count", "how many images (default: 64)")
    _add_number(parser, "--seed", "seed of the noise (default: 0)")
    parser.add_argument(
        "--training-noise",
        action="store_true",
        help="sample from the noise of the run's own grids: the same PNG, byte for byte"
        " (with --pretrained, within one of 255 grey levels)",
    )
    parser.add_argument(
        "--class",
        dest="class_name",
        metavar="NAME",
        help="only images of this class, such as trouser, by the classifier of `evaluate`",
    )
    _add_keep(parser)
    parser.add_argument(
        "--format",
        choices=["png", "npy"],
        help="a grid, or an array [count, 28, 28, 1], float32 in [-1, 1] (default: as --output"
        " ends, or png)",
    )
    _add_output(parser, "samples.png or .npy", beside_source=True)


def _sample(count, seed, training_noise, class_name, keep, format, output, **source):
    """Sample images from a trained generator."""
    if training_noise:
        others = {"count": count, "seed": seed, "class": class_name, "keep": keep != 1}
        _refuse("`training_noise` has images of its own", others)
    count = whole_number("count", 64 if count is None else count, 1, MOST_IMAGES)
    output, format = _output(output, _beside(source, "samples"), ["png", "npy"], format)
    snapshot = _load_snapshot(**source)
    from gan_tf.snapshots import take, write_images

    sampled = None
    if training_noise:
        images = snapshot.sample_training_noise()
    elif class_name is not None:
        from gan_tf.evaluation.choose import sample_class

        images, sampled = sample_class(snapshot, class_name, count, seed or 0, keep=keep)
    elif keep != 1:
        images, sampled = take(snapshot.batches(seed or 0, keep), count)
    else:
        images = snapshot.sample(count, seed or 0)
    chosen = "" if sampled is None else f", chosen from {sampled}"
    write_images(output, images, format)
    say(f"{output}: {len(images)} images from {snapshot.origin}{chosen}")


def _interpolate_flags(parser):
    _add_source(parser)
    first = "number of the first image, from 0, as in `sample` with this seed"
    _add_number(parser, "--from", first, default=0, dest="first")
    _add_number(
        parser,
        "--to",
        "numbers of the next images, one after the other (default: 1)",
        nargs="+",
    )
    _add_number(parser, "--steps", "images from one to the next, including both", default=8)
    _add_number(parser, "--seed", "seed of the noise", default=0)
    parser.add_argument(
        "--format",
        choices=["png", "gif"],
        help="a row of images for each part of the way, or an animation that returns to where it"
        " began (default: as --output ends, or png)",
    )
    _add_output(parser, "interpolation.png or .gif", beside_source=True)


def _interpolate(first, to, steps, seed, format, output, **source):
    """Sample the images on the way between some images."""
    output, format = _output(output, _beside(source, "interpolation"), ["png", "gif"], format)
    snapshot = _load_snapshot(**source)
    from gan_tf.snapshots import write_walk

    waypoints = [first, *(to or [1])]
    if format == "gif":
        waypoints.append(first)
    write_walk(output, snapshot.interpolate(waypoints, steps, seed), format)
    say(f"{output}: from image {' to '.join(map(str, waypoints))}, {snapshot.origin}")


def _export_flags(parser):
    _add_source(parser)
    parser.add_argument(
        "--format",
        choices=["keras", "saved-model", "npz", "onnx"],
        help="a .keras file, a SavedModel, arrays, or ONNX, which needs tf2onnx (default: as"
        " --output ends, or keras)",
    )
    _add_output(parser, "generator.keras, .npz, .onnx, or the folder generator", beside_source=True)


def _export(format, output, **source):
    """Write a trained generator for programs without gan_tf."""
    from gan_tf.export import check_export, export_generator

    if output is None:
        format = format or "keras"
        suffix = "" if format == "saved-model" else f".{format}"
        output = f"{_beside(source, 'generator')}{suffix}"
    format = check_export(output, format)  # before seconds of loading
    snapshot = _load_snapshot(**source)
    say(f"{export_generator(snapshot, output, format)}: the generator of {snapshot.origin}")


def _evaluate_flags(parser):
    source = _add_source(parser)
    source.add_argument(
        "--images",
        metavar="FILE",
        help="a .npy or .npz file of any program: [count, 28, 28], uint8 in [0, 255], or float in"
        " [-1, 1]",
    )
    parser.add_argument(
        "--all-epochs",
        action="store_true",
        help="evaluate every snapshot of the run, and update evaluation.csv and quality.png",
    )
    _add_number(parser, "--count", "images to sample (default: 10000)")
    _add_number(parser, "--seed", "seed of the noise", default=0)
    _add_keep(parser)
    parser.add_argument(
        "--dataset",
        metavar="NAME",
        help="data set that --images should look like (default: fashion_mnist)",
    )
    _add_data(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object, or a list")


def _evaluate(images, all_epochs, count, seed, keep, json, dataset, data_dir, manual_dir, **source):
    """Measure the quality of a generator's images."""
    averaged, others = source["averaged"], {"epoch": source["epoch"], "keep": keep != 1}
    if images is None:
        _refuse("a generator has a data set of its own", {"dataset": dataset})
    else:
        others |= {"all_epochs": all_epochs, "count": count, "no_averaged": not averaged}
        _refuse("`images` samples none", others)
    if all_epochs:
        others["pretrained"] = source["pretrained"]
        _refuse("`all_epochs` is for a run as a whole", others)
    import_tensorflow()
    from gan_tf.evaluation import curve, evaluate

    where = {"data_dir": data_dir, "manual_dir": manual_dir}
    count = evaluate.COUNT if count is None else count
    if images is not None:
        dataset = TrainConfig.dataset if dataset is None else dataset
        results = [evaluate.evaluate_file(images, TrainConfig(dataset=dataset, **where), seed)]
    elif all_epochs:
        results = curve.evaluate_run(source["run_dir"], count, seed, averaged, **where)
    else:
        snapshot = _load_snapshot(**source)
        results = [evaluate.evaluate_snapshot(snapshot, count, seed, keep=keep, **where)]
    if json:
        say_json(results if all_epochs else results[0])
    else:
        say("\n\n".join(map(evaluate.as_text, results)))


def _neighbours_flags(parser):
    _add_source(parser)
    _add_number(parser, "--count", "images to sample", default=8)
    _add_number(parser, "--seed", "seed of the noise", default=0)
    _add_data(parser)
    _add_output(parser, "neighbours.png", beside_source=True)


def _neighbours(count, seed, data_dir, manual_dir, output, **source):
    """Show sampled images beside the nearest training images."""
    output, _ = _output(output, _beside(source, "neighbours"), ["png"])
    snapshot = _load_snapshot(**source)
    from gan_tf.evaluation import neighbours

    neighbours.write_neighbours(output, snapshot, count, seed, data_dir, manual_dir)
    say(f"{output}: {count} images from {snapshot.origin}, each with its nearest training images")


def _report_flags(parser):
    parser.add_argument(
        "--run-dir",
        dest="run_dirs",
        action="append",
        metavar="DIR",
        help=f"folder of the run (default: {_DEFAULT_RUN_DIR}); repeat it to compare runs",
    )
    _add_output(parser, "report.html in the (first) run's folder")
    parser.add_argument(
        "--live",
        action="store_true",
        help="include the (first) run's generator in the page, to sample new images: 6 MB more",
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--text", action="store_true", help="print the findings instead of making a page"
    )
    instead.add_argument("--json", action="store_true", help="print them as a JSON list of runs")


def _report(run_dirs, output, live, text, json):
    """Make an HTML page of a run, or of several side by side."""
    run_dirs = run_dirs or [_DEFAULT_RUN_DIR]
    if text or json:
        _refuse("`text` and `json` make no page", {"output": output, "live": live})
    from gan_tf import report

    if text:
        say("\n\n".join(report.as_text(run) for run in map(report.read_run, run_dirs)))
    elif json:
        say_json([report.as_dict(run) for run in map(report.read_run, run_dirs)])
    else:
        if output is not None:
            check_output(output, replaceable=["report.html"])
        if live:
            import_tensorflow()
        path = report.write_report(run_dirs, output, live)
        say(f"{path}: {path.stat().st_size / 1e6:.1f} MB, opens in any browser")


def _minimax_flags(parser):
    parser.add_argument(
        "--game",
        type=_number,
        nargs=3,
        default=[4.0, 4.0, 0.0],
        metavar=("A", "B", "C"),
        help="f(x, y) = A x^2 + C xy - B y^2; A and B are not negative (default: 4 4 0)",
    )
    parser.add_argument(
        "--start",
        type=_number,
        nargs=2,
        metavar=("X", "Y"),
        help="start of a run (default: 1 1)",
    )
    for player in "xy":
        help = f"step size of {player} (default: 1/16)"
        parser.add_argument(f"--step-{player}", type=_number, metavar="SIZE", help=help)
    _add_number(parser, "--steps", "steps in a run (default: 50)")
    parser.add_argument(
        "--output-dir",
        metavar="DIR",
        help="folder for the figures and for minimax.html, the assignment's part 1 as a page with"
        " a playground (default: minimax; with --json nothing is written by default)",
    )
    parser.add_argument("--json", action="store_true", help="print the answers as one JSON object")


def _minimax(game, output_dir, json, **choices):
    """Solve, simulate and plot the assignment's minimax game."""
    from gan_tf.minimax import QuadraticGame, answers

    game = QuadraticGame(*game)
    choices = {name: value for name, value in choices.items() if value is not None}
    if json:
        found = answers.report(game, **choices)
    else:
        found = answers.answers(game, **choices)
        output_dir = "minimax" if output_dir is None else output_dir
    if output_dir is not None:
        from gan_tf.minimax.figures import write_figures
        from gan_tf.report import write_part_1

        paths = write_figures(output_dir, game, **choices)
        paths.append(write_part_1(Path(output_dir, "minimax.html")))
    if json:
        say_json(found)
    else:
        say("\n".join([found, "", "written:", *(f"  {path}" for path in paths)]))


def _benchmark_flags(parser):
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def _benchmark(json):
    """Measure the time of a training step on this machine."""
    import_tensorflow()
    from gan_tf import benchmark

    result = benchmark.benchmark()
    if json:
        say_json(result)
    else:
        say(benchmark.as_table(result))


# ------------------------------------------------------------------- what several commands have


def _add_number(parser, name, help, default=None, **options):
    """Adds a flag for a whole number; the help shows its default."""
    if default is not None:
        help += " (default: %(default)s)"
    parser.add_argument(
        name, type=_whole_number, default=default, metavar="N", help=help, **options
    )


def _add_setting(parser, field, default=argparse.SUPPRESS):
    """Adds the flag of a field of `TrainConfig`."""
    help, name = field.metadata["help"], flag(field.name)
    kind, *_ = typing.get_args(field.type) or [field.type]  # int in int | None, tuple[int, ...]
    if kind is bool:
        help += f" (default: {'on' if field.default else 'off'})"
        action = argparse.BooleanOptionalAction
        parser.add_argument(name, action=action, default=default, help=help)
        return
    several = isinstance(field.default, tuple)
    if field.default is not None:
        shown = " ".join(map(str, field.default)) if several else field.default
        help += f" (default: {shown})"
    parser.add_argument(
        name,
        type={int: _whole_number, float: _number, str: str}[kind],
        nargs="+" if several else None,
        default=default,
        metavar="DIR" if name.endswith("-dir") else {int: "N", float: "X", str: "NAME"}[kind],
        help=help,
    )


def _add_data(parser):
    """Adds the flags that say where the data is, as for `train`."""
    for field in dataclasses.fields(TrainConfig):
        if field.name in ("data_dir", "manual_dir"):
            _add_setting(parser, field, default=None)


def _add_keep(parser):
    parser.add_argument(
        "--keep",
        type=_number,
        default=1.0,
        metavar="SHARE",
        help="keep this share of the images, from 0.05 to 1: those that change least with their"
        " noise, so that fewer are crosses of two garments (default: 1, all)",
    )


def _add_run_dir(parser):
    parser.add_argument(
        "--run-dir",
        default=_DEFAULT_RUN_DIR,
        metavar="DIR",
        help="folder of the run (default: %(default)s)",
    )


def _add_source(parser):
    """Adds the flags that name a trained generator, for `_load_snapshot`."""
    source = parser.add_mutually_exclusive_group()
    _add_run_dir(source)
    source.add_argument(
        "--pretrained",
        nargs="?",
        const="homework",
        choices=RECIPES,
        help="use a generator of the package, trained on Fashion-MNIST for 50 epochs with"
        " this recipe (default: homework)",
    )
    parser.add_argument(
        "--epoch",
        type=lambda text: text if text == "best" else _whole_number(text),
        metavar="N",
        help="epoch of the snapshot, or `best`, the best evaluated one (default: the latest)",
    )
    parser.add_argument(
        "--averaged",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="use the average of the weights of a run with --ema-decay (default: on)",
    )
    return source


def _add_output(parser, default, beside_source=False):
    if beside_source:
        default += ", in the run's folder or, pretrained, in the current one"
    parser.add_argument("--output", metavar="FILE", help=f"default: {default}")


def _refuse(reason, values):
    """Refuses flags that were given, by their names: another flag leaves them no meaning."""
    given = [name for name, value in values.items() if value is not None and value is not False]
    if given:
        raise UserError(f"{reason}: drop {', '.join(map(flag, given))}")


def _whole_number(text):
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r:.50}") from None


def _number(text):
    try:
        return float(Fraction(text) if "/" in text else text)
    except (ValueError, OverflowError, ZeroDivisionError):
        message = f"must be a number such as 0.05 or 1/16, not {text!r:.50}"
        raise argparse.ArgumentTypeError(message) from None


def _load_snapshot(run_dir, pretrained, epoch, averaged):
    if pretrained:
        _refuse("`pretrained` has an epoch of its own", {"epoch": epoch})
    else:
        load_config(run_dir)  # to refuse a missing run before TensorFlow is imported
    import_tensorflow()
    from gan_tf.snapshots import load_pretrained, load_snapshot

    return load_pretrained(pretrained) if pretrained else load_snapshot(run_dir, epoch, averaged)


def _beside(source, name):
    """Returns the default path of an output: beside the generator that is read."""
    return Path(name) if source["pretrained"] else Path(source["run_dir"], name)


def _output(output, default, formats, format=None):
    """Returns the file to write and its format, by default as the name ends.

    Args:
      output: the value of --output, or None.
      default: the default path, with any suffix.
      formats: those that the command can write, the default first.
      format: the value of --format, or None.
    """
    if output is None:
        format = format or formats[0]
        return default.with_suffix(f".{format}"), format
    check_output(output, replaceable=[default.name])
    suffix = Path(output).suffix[1:].lower()
    if suffix not in (possible := [format] if format else formats):
        raise UserError(f"`output` {output} must end in .{' or .'.join(possible)}")
    return Path(output), suffix


# The functions that add a command's flags to a parser, and that run it.
COMMANDS = {
    "train": (_train_flags, _train),
    "gif": (_gif_flags, _gif),
    "draw": (_draw_flags, _draw),
    "sample": (_sample_flags, _sample),
    "evaluate": (_evaluate_flags, _evaluate),
    "report": (_report_flags, _report),
    "neighbours": (_neighbours_flags, _neighbours),
    "interpolate": (_interpolate_flags, _interpolate),
    "export": (_export_flags, _export),
    "minimax": (_minimax_flags, _minimax),
    "benchmark": (_benchmark_flags, _benchmark),
}
