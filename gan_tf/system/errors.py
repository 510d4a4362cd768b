"""Errors with a message for the user, and the exit code that each one stands for.

A message names an argument as in Python, in backticks: `batch_size`. The command line replaces it
by the flag: --batch-size.
"""

import re

_LONGEST_REASON = 160  # characters of another library's message


class UserError(ValueError):
    """A mistake of the user; the one-line message says what to change. Exit code 2."""


class RunFailed(RuntimeError):
    """A failure that is no mistake of the user; the one-line message says why. Exit code 1."""


def one_line(error: BaseException) -> str:
    """Returns the type of another library's error and the first sentence of its message.

    Backticks are replaced, as they do not mark an argument of gan_tf there.
    """
    first_line = str(error).strip().partition("\n")[0].replace("`", "'")
    text = re.sub(r"^{{.*?}} ", "", first_line)  # which node of its graph TensorFlow computed
    text = re.split(r"\. (?=[A-Z])", text)[0]
    if len(text) > _LONGEST_REASON:
        text = f"{text[:_LONGEST_REASON]}..."
    if isinstance(error, KeyError):  # its message is the key alone
        text = f"{text} is missing"
    return f"{type(error).__name__}: {text}"


def flag(name: str) -> str:
    """Returns the command-line spelling of an argument: `batch_size` is --batch-size."""
    return "--" + name.replace("_", "-")


def with_flags(text: str) -> str:
    """Returns a message with each argument in backticks replaced by its flag."""
    text = text.replace("`waypoints`", "--from and --to")
    return re.sub(r"`([a-z][a-z0-9_]*)`", lambda match: flag(match[1]), text)
