"""Labelled pixel series: what methods are trained on and judged by."""
