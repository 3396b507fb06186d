"""Evaluation of a recommender on held-out items, with full ranking and confidence intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedrec_recipes.metrics import metric_value, rank_of
from fedrec_recipes.recipe import History

Scorer = Callable[[History], NDArray[np.floating]]
"""Scores of all items for a history, shape (number_of_items,)."""


@dataclass(frozen=True)
class HeldOut:
    """One question: who, what they had done so far, and what they did next."""

    person: int
    """Index of the person."""
    history: History
    """Interactions before the held-out one."""
    target: int
    """The held-out item."""


@dataclass(frozen=True)
class Estimate:
    """A mean over people with a bootstrap confidence interval."""

    mean: float
    low: float
    high: float


def ranks(score: Scorer, cases: Sequence[HeldOut]) -> NDArray[np.int64]:
    """Rank of each held-out item among all items that its person had not seen, shape (len(cases),)."""
    return np.array([rank_of(score(case.history), case.target, case.history.items) for case in cases], dtype=np.int64)


def mean_metric(name: str, of_ranks: NDArray[np.int64]) -> float:
    """Mean of a metric over held-out items.

    Raises:
        UnknownMetric: no metric has this name.
    """
    return float(np.mean([metric_value(name, int(rank)) for rank in of_ranks]))


def estimate(
    name: str,
    of_ranks: NDArray[np.int64],
    generator: np.random.Generator,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
) -> Estimate:
    """Mean of a metric with a percentile bootstrap over people (Efron 1979).

    Raises:
        UnknownMetric: no metric has this name.
    """
    values = np.array([metric_value(name, int(rank)) for rank in of_ranks])
    # Resampling n people with replacement is drawing how often each of them is taken.
    counts = generator.multinomial(len(values), np.full(len(values), 1 / len(values)), size=resamples)
    low, high = np.quantile(counts @ values / len(values), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(values.mean()), float(low), float(high))
