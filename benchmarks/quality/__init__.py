"""Recommendation quality on public data, by one protocol: `python -m benchmarks.quality`."""
