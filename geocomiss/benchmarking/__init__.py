"""Benchmark: all methods on the same folds, and the poster's table of what they reach."""
