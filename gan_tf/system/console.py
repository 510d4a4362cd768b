"""What a terminal, or a log file, shows of a training run."""

import errno
import faulthandler
import json
import os
import sys
import tempfile

from gan_tf.system.errors import RunFailed


def say(text: str):
    """Prints a line at once.

    After the reader has gone (`| head`, a closed terminal) the run goes on in silence.

    Raises:
      RunFailed: standard output takes no more, as on a full disk.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        # Python writes what is left once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno not in (errno.EPIPE, errno.EIO):
            reason = f"cannot write to standard output: {error.strerror}"
            raise RunFailed(f"{reason}; send it elsewhere, and run the command again") from error


def say_json(value):
    """Prints a value as JSON that every parser takes; a number that is not finite becomes null."""
    finite = json.loads(json.dumps(value), parse_constant=lambda _: None)
    say(json.dumps(finite, indent=2, allow_nan=False))


def bar(items, what: str):
    """Returns an iterator over a list that shows its progress; on a terminal only."""
    from tqdm import tqdm  # here, as commands that show no bar need none of it

    return tqdm(items, desc=what, leave=False, disable=not sys.stderr.isatty())


def epoch_bar(epoch: int, epochs: int, images: int, images_done: int, shown: bool = True):
    """Returns a tqdm bar for one epoch, counted in images; it shows on a terminal only."""
    from tqdm import tqdm

    return tqdm(
        desc=f"epoch {epoch}/{epochs}",
        total=images,
        initial=images_done,
        unit=" images",
        leave=False,
        disable=not (shown and sys.stderr.isatty()),
        bar_format="{desc} {bar} {percentage:.0f}% {rate_fmt}, {remaining} left{postfix}",
    )


def show_step(bar, step: int, steps: int, metrics: dict):
    """Shows where in the epoch a run is, and its latest losses, beside the bar."""
    bar.set_postfix_str(
        f"batch {step}/{steps}, G {float(metrics['generator_loss']):.3f},"
        f" D {float(metrics['discriminator_loss']):.3f}"
    )


def print_epoch(row: dict, epochs: int):
    """Prints a row of the history: losses, D(x), D(G(z)), speed, and the time left at it."""
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
    """Says of a run that nothing is left to do."""
    say(f"{folder} is finished: {epochs} epochs; for more raise --epochs")


def _duration(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


def import_tensorflow():
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
