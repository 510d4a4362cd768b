"""How the program says no: whose fault it is decides the exit code.

A text names an argument as Python does, in backticks: `batch_size`. The command line spells it as
the flag that its user has typed: --batch-size.
"""

import re


class UserError(ValueError):
    """A mistake in what was asked for; one line that says what to change. Exit code 2."""


class RunFailed(RuntimeError):
    """What cannot go on, though it was asked for well; one line that says why. Exit code 1."""


def one_line(error: BaseException) -> str:
    """Returns another library's error as its type and the first line of its text.

    What stands in backticks there is no argument of this program.
    """
    first_line, _, _ = str(error).strip().partition("\n")
    return f"{type(error).__name__}: {first_line[:300]}".replace("`", "'")


def flag(name: str) -> str:
    """Returns the command-line spelling of an argument: `batch_size` is --batch-size."""
    return "--" + name.replace("_", "-")


def with_flags(text: str) -> str:
    """Returns an error's text with each argument in backticks spelt as a flag."""
    text = text.replace("`waypoints`", "--from and --to")
    return re.sub(r"`([a-z][a-z0-9_]*)`", lambda match: flag(match[1]), text)
