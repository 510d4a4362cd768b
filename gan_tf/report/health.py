"""The health of a run: what the rules find in its history, as findings, as text and as JSON."""

import textwrap

from gan_tf.report import story
from gan_tf.report.rules import LEVELS, RULES, UNKNOWN, Finding, too_early
from gan_tf.report.signals import epochs_as_text


def findings(run) -> list[Finding]:
    """Returns what the rules find in a run, the weightiest first.

    Findings never ask for two different things. A run that is too young is not judged: that is its
    only finding. An alarm, whose remedy is to start again, stands alone too. Otherwise there is
    advice, which is always to train on, and there are notes.

    Args:
      run: a `Run`.
    """
    return examined(run)[0]


def examined(run) -> tuple[list[Finding], list[str], list[str]]:
    """Returns the findings, the names of what was not found, and of what could not be looked for.

    Args:
      run: a `Run`.
    """
    if young := too_early(run):
        return [young], [], []
    answers = {rule.__name__.replace("_", " "): rule(run) for rule in RULES}
    found = [answer for answer in answers.values() if isinstance(answer, Finding)]
    found.sort(key=lambda finding: list(LEVELS).index(finding.level))
    if found and found[0].level == "alarm":
        found = found[:1]
    return (
        found,
        [name for name, answer in answers.items() if answer is None],
        [name for name, answer in answers.items() if answer is UNKNOWN],
    )


def as_text(run) -> str:
    """Returns a run in a paragraph, the verdict and the findings, as lines for a terminal."""
    found = findings(run)
    level, verdict = story.verdict(found)
    parts = [f"{run.name}: {story.paragraph(run)}", verdict]
    for finding in found:
        where = f" ({epochs_as_text(finding.epochs)})" if finding.epochs else ""
        parts.append(f"{finding.level.upper()}: {finding.title}{where}")
        parts += [f"    {finding.text}", f"    What to do: {finding.advice}"]
    if level == "sound":
        parts.append(f"What to try next: {story.what_next(run)}")
    return "\n".join(
        textwrap.fill(
            part,
            100,
            subsequent_indent="    " if part[0] == " " else "",
            break_on_hyphens=False,
        )
        for part in parts
    )


def as_dict(run) -> dict:
    """Returns the same as numbers and words that JSON can hold.

    Returns:
      run: the folder's name; verdict; level: of the verdict; findings: a dict for each `Finding`.
    """
    found = findings(run)
    level, verdict = story.verdict(found)
    return {
        "run": run.name,
        "level": level,
        "verdict": verdict,
        "findings": [finding._asdict() for finding in found],
    }
