"""From results to a report: pooled scores, differences with their intervals, tables, figures."""

from geocomiss.benchmarking.reporting.files import ReportRequest, portable, write_report

__all__ = ["ReportRequest", "portable", "write_report"]
