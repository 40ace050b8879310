"""One module per loader of `benchmarks/stream.py --peers`, and what they have in common."""
