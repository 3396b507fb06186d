"""Aggregation rules: how the sum of a round becomes the next parameters. One small file each."""
