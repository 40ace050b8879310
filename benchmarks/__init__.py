"""Benchmarks: each prints one JSON line with medians and ratios of one run."""
