"""How the program says no: whose fault it is decides the exit code."""


class UserError(ValueError):
    """A mistake in what was asked for; one line that says what to change. Exit code 2."""


class RunFailed(RuntimeError):
    """What cannot go on, though it was asked for well; one line that says why. Exit code 1."""


def one_line(error: Exception) -> str:
    """Returns another library's error as its type and the first line of its text."""
    first_line, _, _ = str(error).strip().partition("\n")
    return f"{type(error).__name__}: {first_line}"
