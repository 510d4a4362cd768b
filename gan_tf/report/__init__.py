"""A run's report: findings in words, and one HTML page."""

from gan_tf.report.page import write_part_1, write_report
from gan_tf.report.rules import Finding, findings
from gan_tf.report.runs import Run, read_run
from gan_tf.report.story import as_dict, as_text

__all__ = [
    "Finding",
    "Run",
    "as_dict",
    "as_text",
    "findings",
    "read_run",
    "write_part_1",
    "write_report",
]
