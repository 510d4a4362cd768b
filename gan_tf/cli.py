"""The command line: one command to its exit code, and every error to one line."""

import argparse
import os
import re
import sys
import warnings

from gan_tf.commands import COMMANDS
from gan_tf.system.errors import RunFailed, UserError, with_flags


def main(argv=None, command: str | None = None) -> int:
    """Runs one command and returns its exit code.

    Args:
      argv: the arguments, by default the process's own.
      command: the command that a script stands for; by default the first argument names it.
    """
    _open_missing_streams()
    _drop_settings_of_libraries()
    if command:
        summary, add_flags = COMMANDS[command]
        parser = _Parser(description=summary)
        add_flags(parser)
    else:
        parser = _Parser(
            prog="gan-tf", description="DCGAN on Fashion-MNIST, and the game behind it."
        )
        commands = parser.add_subparsers(metavar="COMMAND", required=True)
        for name, (summary, add_flags) in COMMANDS.items():
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

    def parse_known_args(self, args=None, namespace=None):
        # argparse takes -1 for a number but -1e-3 for a flag, unless a space stands before it.
        arguments = sys.argv[1:] if args is None else args
        number = re.compile(r"-(\d*\.?\d*e[+-]?\d+|inf|nan)", re.IGNORECASE)
        arguments = [f" {text}" if number.fullmatch(text) else text for text in arguments]
        return super().parse_known_args(arguments, namespace)

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n")


def _drop_settings_of_libraries():
    """Forgets environment variables that end Matplotlib's or tqdm's import where they are wrong."""
    for name in list(os.environ):
        if name == "MPLBACKEND" or name.startswith("TQDM_"):
            del os.environ[name]


def _open_missing_streams():
    """Opens what a shell has closed (`2>&-`), lest the next file takes its number."""
    for number, name in [(1, "stdout"), (2, "stderr")]:
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, open(number, "w", encoding="utf-8"))
