"""The health of a run: what its history tells, as findings, as text and as JSON."""

import json
import math

from gan_tf.report.rules import LEVELS, RULES, RULES_OF_SOUND_RUNS, Finding
from gan_tf.report.runs import Run, read_run


def findings(run) -> list[Finding]:
    """Returns what all rules find in a run, the worst first.

    Args:
      run: a `Run`, or the path of a run's folder.
    """
    run = run if isinstance(run, Run) else read_run(run)
    found = [finding for rule in RULES if (finding := rule(run))]
    if not any(finding.level == "alarm" for finding in found):
        found += [finding for rule in RULES_OF_SOUND_RUNS if (finding := rule(run))]
    return sorted(found, key=lambda finding: list(LEVELS).index(finding.level))


def as_text(found: list[Finding]) -> str:
    """Returns findings as lines for a terminal."""
    if not found:
        return "No finding: nothing in the history of the run calls for a remedy."
    return "\n".join(
        f"{finding.level}: {finding.title} ({epochs_as_text(finding.epochs)})\n"
        f"    {finding.text}\n    What to do: {finding.advice}"
        for finding in found
    )


def as_json(found: list[Finding]) -> str:
    """Returns findings as JSON: a list of objects, with the fields of `Finding`."""
    return json.dumps([finding._asdict() for finding in found], indent=2)


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
