"""The fold: validated updates added to the integer sum, against a plain float32 addition of the same bytes.

The check of the norm, which reads the update once more before, is measured beside it.
"""

import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.harness.measurement import AtLeast, Measurement
from services.aggregator.domain import kernels

_SIZES_MB = (0.1, 4.0, 64.0)
_SECONDS_EACH = 2.0
_FACTOR = 3 * 2.0**20


def measure() -> Iterator[Measurement]:
    """Each ratio is the median over pairs of neighbouring runs: both have the same neighbours on the machine."""
    kernels.warm_up()
    for size in _SIZES_MB:
        elements = int(size * 1e6) // 4
        ratio, rate = _ratio(elements, is_checked=False)
        remark = f"fold {rate:.1f} GB/s of update bytes, one thread"
        yield Measurement(f"fold ÷ np.add, {size:g} MB updates", ratio, "", AtLeast(0.5), remark)
        ratio, rate = _ratio(elements, is_checked=True)
        remark = f"{rate:.1f} GB/s with the check of the norm"
        yield Measurement(f"check and fold ÷ np.add, {size:g} MB updates", ratio, "", None, remark)


def _ratio(elements: int, *, is_checked: bool) -> tuple[float, float]:
    """Rate of the fold divided by that of the plain addition, and the rate of the fold in GB/s."""
    update = np.random.default_rng(0).standard_normal(elements).astype(np.float32)
    total, accumulator = np.zeros(elements, np.float32), np.zeros(elements, np.int64)

    def add() -> None:
        np.add(total, update, out=total)

    def fold() -> None:
        if is_checked:
            kernels.squared_norm(update)
        kernels.add(accumulator, update, _FACTOR)

    ratios, folds = [], []
    ends = time.perf_counter() + _SECONDS_EACH
    while time.perf_counter() < ends:
        repeats = max(1, 1_000_000 // elements)
        added, folded = _seconds(add, repeats), _seconds(fold, repeats)
        ratios.append(added / folded)
        folds.append(folded)
    return statistics.median(ratios), update.nbytes / statistics.median(folds) / 1e9


def _seconds(work: Callable[[], None], repeats: int) -> float:
    started = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - started) / repeats
