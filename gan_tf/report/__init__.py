"""A run as a person reads it: findings in words, and one HTML page."""

from gan_tf.report.health import as_json, as_text, findings
from gan_tf.report.page import write_report
from gan_tf.report.rules import Finding

__all__ = ["Finding", "as_json", "as_text", "findings", "write_report"]
