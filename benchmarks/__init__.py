"""Benchmarks, run by `./run bench`: ratios and medians, each beside the mark it has to meet.

Every module in this folder is one benchmark: it has a function `measure()` that yields `Measurement`s as they
are made, and the first line of its docstring says what it measures. What several of them need is in `harness`.
"""
