"""The health of a run: what its history tells, as findings, as text and as JSON."""

import math
import textwrap

from gan_tf.report import story
from gan_tf.report.rules import LEVELS, RULES, RULES_OF_SOUND_RUNS, Finding, missing_class


def findings(run) -> list[Finding]:
    """Returns what all rules find in a run, the worst first.

    Args:
      run: a `Run`.
    """
    found = [finding for rule in RULES if (finding := rule(run))]
    if not any(finding.level == "alarm" for finding in found):
        found += [finding for rule in RULES_OF_SOUND_RUNS if (finding := rule(run))]
    return sorted(found, key=lambda finding: list(LEVELS).index(finding.level))


def absent(run, found: list[Finding]) -> tuple[list[str], list[str]]:
    """Returns the names of the rules that found nothing, and of those that were not asked."""
    asked = [*RULES]
    if not any(finding.level == "alarm" for finding in found):
        asked += RULES_OF_SOUND_RUNS
    if not run.evaluation:
        asked.remove(missing_class)
    there = {finding.rule for finding in found}
    words = {rule: rule.__name__.replace("_", " ") for rule in (*RULES, *RULES_OF_SOUND_RUNS)}
    return (
        [words[rule] for rule in asked if rule.__name__ not in there],
        [words[rule] for rule in words if rule not in asked],
    )


def as_text(run) -> str:
    """Returns a run in a paragraph, the verdict and the findings, as lines for a terminal."""
    found = findings(run)
    _, verdict = story.verdict(found)
    parts = [f"{run.name}: {story.paragraph(run)}", verdict]
    for finding in found:
        parts.append(f"{finding.level.upper()}: {finding.title} ({epochs_as_text(finding.epochs)})")
        parts += [f"    {finding.text}", f"    What to do: {finding.advice}"]
    return "\n".join(
        textwrap.fill(part, 100, subsequent_indent="    " if part[0] == " " else "")
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


def epochs_as_text(epochs: list[int]) -> str:
    """Returns epochs as text, with stretches drawn together: `epochs 21, 28, 42 to 43`."""
    if not epochs:
        return "the whole run"
    parts, first = [], epochs[0]
    for epoch, following in zip(epochs, [*epochs[1:], math.inf]):
        if following != epoch + 1:
            parts.append(f"{first} to {epoch}" if first != epoch else f"{epoch}")
            first = following
    return ("epoch " if len(epochs) == 1 else "epochs ") + ", ".join(parts)
