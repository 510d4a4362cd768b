"""The command line: one command to its exit code, and every error to one line."""

import argparse
import contextlib
import difflib
import io
import logging
import os
import re
import sys
import warnings

from gan_tf._version import __version__
from gan_tf.commands import COMMANDS
from gan_tf.system.errors import RunFailed, UserError, with_flags

# Environment variables that end the import of a library where they are wrong, choose another Keras,
# or let XLA compute other numbers. They are meant for other programs: a command runs without them.
_OF_OTHER_PROGRAMS = re.compile(
    "MPLBACKEND|TQDM_.*|KERAS_BACKEND|TF_USE_LEGACY_KERAS|(TF_)?XLA_FLAGS"
)


def main(argv=None, command: str | None = None) -> int:
    """Runs one command and returns its exit code.

    Args:
      argv: the arguments, by default the process's own.
      command: the command that a script stands for; by default the first argument names it.
    """
    _open_missing_streams()
    with _own_settings():
        parser = _parser(command)
        argv = sys.argv[1:] if argv is None else argv
        arguments = vars(parser.parse_args([command, *argv] if command else argv))
        if not arguments:
            parser.print_help()
            return 0
        parser, run = arguments.pop("parser"), arguments.pop("run")
        try:
            run(**arguments)
        except UserError as error:
            return parser.ended(2, f"error: {with_flags(str(error))}")
        except RunFailed as error:
            return parser.ended(1, f"failed: {with_flags(str(error))}")
        except MemoryError:
            return parser.ended(1, "failed: not enough memory")
        except KeyboardInterrupt as interruption:  # of `train`, with what was saved
            reason = f": {interruption}" if str(interruption) else ""
            print(f"interrupted{reason}", file=sys.stderr)
            return 130
    return 0


class _Parser(argparse.ArgumentParser):
    """Reports a mistake in one line, without the usage before it; takes no shortened flags."""

    def __init__(self, **options):
        super().__init__(allow_abbrev=False, **options)

    def parse_known_args(self, args=None, namespace=None):
        """Refuses unknown arguments at once, and names the flag that is nearest to them."""
        # argparse takes -1 for a number but -1e-3 for a flag, unless a space stands before it.
        arguments = sys.argv[1:] if args is None else args
        number = re.compile(r"-(\d*\.?\d*e[+-]?\d+|inf|nan)", re.IGNORECASE)
        arguments = [f" {text}" if number.fullmatch(text) else text for text in arguments]
        found, unknown = super().parse_known_args(arguments, namespace)
        if unknown:
            asked = unknown[0].partition("=")[0]
            flags = re.findall(r"--[a-z0-9-]+", self.format_usage())
            nearest = difflib.get_close_matches(asked, flags, n=1)
            hint = f"did you mean {nearest[0]}?" if nearest else "--help lists all flags"
            self.error(f"unrecognized arguments: {' '.join(unknown)} ({hint})")
        return found, unknown

    def error(self, message):
        self.exit(self.ended(2, f"error: {message}"))

    def ended(self, code, message):
        """Prints why the command ended, and returns its exit code."""
        print(f"{self.prog}: {message}", file=sys.stderr)
        return code


def _parser(script_command):
    """Returns the parser of all commands; one of them may go by the name of its script."""
    parser = _Parser(prog="gan-tf", description="DCGAN on Fashion-MNIST, and the game behind it.")
    parser.add_argument("--version", action="version", version=f"gan_tf {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND")
    for name, (add_flags, run) in COMMANDS.items():
        prog = os.path.basename(sys.argv[0]) if name == script_command else None
        one = commands.add_parser(name, prog=prog, help=run.__doc__, description=run.__doc__)
        add_flags(one)
        one.set_defaults(parser=one, run=run)
    return parser


@contextlib.contextmanager
def _own_settings():
    """Sets up this process for a command, and puts everything back: it may be a notebook's."""
    names = [name for name in os.environ if _OF_OTHER_PROGRAMS.fullmatch(name)]
    variables = {name: os.environ.pop(name) for name in names}
    had_matplotlib = "matplotlib" in sys.modules
    formatwarning, logger = warnings.formatwarning, logging.getLogger("tensorflow")
    level = logger.level
    os.environ["KERAS_BACKEND"] = "tensorflow"
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        yield
    finally:
        logger.setLevel(level)
        warnings.formatwarning = formatwarning
        del os.environ["KERAS_BACKEND"]
        os.environ.update(variables)
        if "MPLBACKEND" in variables and "matplotlib" in sys.modules and not had_matplotlib:
            with contextlib.suppress(ValueError):  # what Matplotlib's own import would have done
                sys.modules["matplotlib"].rcParams["backend"] = variables["MPLBACKEND"]


def _open_missing_streams():
    """Opens what a shell has closed (`2>&-`), so that the next file does not take its number.

    Nobody misses what goes to standard error. Standard output cannot be written to, so that a
    command whose answer is lost fails, as `cat` does.
    """
    for number, name, mode in [(1, "stdout", os.O_RDONLY), (2, "stderr", os.O_WRONLY)]:
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, mode), number)
            file = open(number, "wb", buffering=0)  # so that no rest is written again at exit
            setattr(sys, name, io.TextIOWrapper(file, encoding="utf-8", write_through=True))
