"""The health of a run: the findings of all rules, as objects, as text and for JSON."""

import textwrap

from gan_tf.report import story
from gan_tf.report.rules import LEVELS, RULES, UNKNOWN, Finding, too_early
from gan_tf.report.signals import epochs_as_text


def findings(run) -> list[Finding]:
    """Returns the findings on a run, the most important one first.

    Findings never contradict each other. If it is too early to judge a run, that is the only
    finding. An alarm, whose remedy is to start again, also stands alone. Otherwise there is advice,
    which is always to train longer, and there are notes.

    Args:
      run: a `Run`.
    """
    return examined(run)[0]


def examined(run) -> tuple[list[Finding], list[str], list[str]]:
    """Returns the findings, the rules that found nothing, and those that could not be checked."""
    if early := too_early(run):
        return [early], [], []
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
    """Returns a description of the run, the verdict and the findings, as lines for a terminal."""
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
            part, 100, subsequent_indent="    " * (part[0] == " "), break_on_hyphens=False
        )
        for part in parts
    )


def as_dict(run) -> dict:
    """Returns the verdict and the findings for JSON.

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
