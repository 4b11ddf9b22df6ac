"""The one-file HTML report of a finished run."""

from hfcls.report.page import write_report

__all__ = ["write_report"]
