"""From results to a report: pooled scores, differences with their intervals, tables, figures."""

from geocomiss.benchmarking.reporting.files import ReportRequest, portable, write_report
from geocomiss.benchmarking.reporting.pooled import METRICS, pooled_scores
from geocomiss.benchmarking.reporting.rows import summaries

__all__ = ["METRICS", "ReportRequest", "pooled_scores", "portable", "summaries", "write_report"]
