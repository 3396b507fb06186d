"""Ranking metrics of one held-out item: what a device measures and reports.

Ranks are of full rankings: all items of the catalogue but the excluded ones compete, never a sample of
them (Krichene and Rendle 2020, https://doi.org/10.1145/3394486.3403226: sampled metrics can reverse the
order of two recommenders).
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


class UnknownMetric(ValueError):
    """No metric has this name."""


def rank_of(scores: NDArray[np.floating], target: int, exclude: NDArray[np.integer]) -> int:
    """Rank of `target` among all items that are not excluded; 1 is best.

    Ties are pessimistic: every other item with the same score comes first, so that a constant score
    earns nothing. A NaN, of the target or of another item, counts against the target as well.

    Args:
        scores: One score per item, shape (number_of_items,).
        target: The item that came next. It competes even when it is excluded.
        exclude: Items out of the competition: usually those that the person has seen.
    """
    ahead = ~(scores < scores[target])
    ahead[exclude] = False
    ahead[target] = False
    return int(np.count_nonzero(ahead)) + 1


def metric_value(name: str, rank: int) -> float:
    """Value of a metric for one held-out item of this rank, between 0 and 1.

    `hr@k` and `recall@k` are 1 when the rank is at most k (with one held-out item they are the same);
    `ndcg@k` is 1 / log2(rank + 1) up to k; `mrr@k` is 1 / rank up to k, `mrr` without a cut-off.

    Raises:
        UnknownMetric: not one of these names.
    """
    gain, cutoff = parse_metric(name)
    return gain(rank) if cutoff is None or rank <= cutoff else 0.0


def parse_metric(name: str) -> tuple[Callable[[int], float], int | None]:
    """The gain of a rank, and the cut-off below which it counts.

    Raises:
        UnknownMetric: not a name that `metric_value` knows.
    """
    family, separator, digits = name.partition("@")
    if family not in _GAINS or (not separator and family != "mrr"):
        raise UnknownMetric(f"unknown metric {name!r}; known: {', '.join(f'{known}@k' for known in _GAINS)} and mrr")
    if not separator:
        return _GAINS[family], None
    if not (digits.isascii() and digits.isdecimal()) or int(digits) == 0:
        raise UnknownMetric(f"metric {name!r} needs a cut-off of at least 1, e.g. {family}@10")
    return _GAINS[family], int(digits)


_GAINS: dict[str, Callable[[int], float]] = {
    "hr": lambda _: 1.0,
    "ndcg": lambda rank: 1.0 / math.log2(rank + 1),
    "recall": lambda _: 1.0,
    "mrr": lambda rank: 1.0 / rank,
}
