"""Output to the terminal or a log file, and the import of TensorFlow without its messages."""

import contextlib
import errno
import json
import os
import sys
import tempfile

from gan_tf.system.errors import RunFailed, UserError

# Replacements, where the output is not UTF-8, for the non-ASCII characters of our own messages.
_STAND_INS = str.maketrans({"é": "e", "−": "-"})
_is_quiet = False


@contextlib.contextmanager
def quiet():
    """Suppresses all output and progress bars within its block."""
    global _is_quiet
    _is_quiet = True
    try:
        yield
    finally:
        _is_quiet = False


def say(text: str):
    """Prints a line without buffering.

    If the reader is gone (`| head`, a closed terminal), the run continues in silence.

    Raises:
      RunFailed: standard output cannot be written to, as on a full disk.
    """
    if _is_quiet:
        return
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_STAND_INS).encode(encoding, "replace").decode(encoding)
    try:
        print(text, flush=True)
    except OSError as error:
        # Python tries to write the rest once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno not in (errno.EPIPE, errno.EIO):
            reason = f"cannot write to standard output: {error.strerror}"
            raise RunFailed(
                f"{reason}; redirect it elsewhere, and run the command again"
            ) from error


def say_json(value):
    """Prints a value as standard JSON; a number that is not finite becomes null."""
    finite = json.loads(json.dumps(value), parse_constant=lambda _: None)
    say(json.dumps(finite, indent=2, allow_nan=False))


def bar(items, what: str, **options):
    """Returns an iterator over a list that shows a progress bar of tqdm on a terminal."""
    from tqdm import tqdm  # not at the top: most commands show no bar

    # None: tqdm shows nothing where standard error is no terminal.
    return tqdm(items, desc=what, leave=False, disable=_is_quiet or None, **options)


def epoch_bar(epoch: int, epochs: int, images: int, images_done: int):
    """Returns a bar that counts the images of an epoch."""
    return bar(
        None,
        f"epoch {epoch}/{epochs}",
        total=images,
        initial=images_done,
        unit=" images",
        bar_format="{desc} {bar} {percentage:.0f}% {rate_fmt}, {remaining} left{postfix}",
    )


def show_step(bar, step: int, steps: int, metrics: dict):
    """Shows the position within the epoch, and the latest losses, beside the bar."""
    bar.set_postfix_str(
        f"batch {step}/{steps}, G {float(metrics['generator_loss']):.3f},"
        f" D {float(metrics['discriminator_loss']):.3f}"
    )


def print_epoch(row: dict, epochs: int):
    """Prints a row of history.csv: losses, D(x), D(G(z)), speed, and the estimated time left."""
    epoch = row["epoch"]
    line = (
        f"epoch {epoch:2}/{epochs}:"
        f" generator {row['generator_loss']:.3f}, discriminator {row['discriminator_loss']:.3f},"
        f" D(x) {row['real_probability']:.2f}, D(G(z)) {row['fake_probability']:.2f},"
        f" {row['seconds']:.1f} s, {row['images_per_second']:.0f} images/s"
    )
    if "variety" in row:
        line += f", variety {row['variety']:.2f}"
    if "fcd" in row:
        line += f", FCD {row['fcd']:.2f}"
    if epoch < epochs:
        line += f", {_duration(row['seconds'] * (epochs - epoch))} left"
    say(line)


def say_finished(folder, epochs: int):
    """Reports that a run has nothing left to do."""
    say(f"{folder} is finished: {epochs} epochs; for more raise --epochs")


def _duration(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


def import_tensorflow():
    """Imports TensorFlow without its messages on standard error.

    TensorFlow 2.21 prints four to seven lines. Its native code prints some of them before it reads
    the log level, so the file descriptor itself is redirected during the import.

    Raises:
      UserError: a variable selects Keras 2, or there is no folder for temporary files.
    """
    if os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true"):
        raise UserError(
            "the environment variable TF_USE_LEGACY_KERAS selects Keras 2, and gan_tf needs"
            " Keras 3: unset it before TensorFlow is imported"
        )
    if "tensorflow" in sys.modules:
        return
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise UserError(
            "no folder for temporary files can be written to: free space on the disk, or set the"
            " environment variable TMPDIR to a folder that can"
        ) from error
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _standard_error_redirected():
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def _standard_error_redirected():
    try:
        terminal = os.dup(2)
    except OSError:  # a program without standard error
        yield
        return
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
