"""Evaluation of a recommender on held-out items, with full ranking and confidence intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedrec_recipes.metrics import metric_value, rank_of
from fedrec_recipes.recipe import History

Scorer = Callable[[History], NDArray[np.floating]]
"""Scores of all items for a history, shape (number_of_items,)."""
_MOST_DRAWN_AT_ONCE = 10_000_000


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
    """Mean of a metric with a percentile bootstrap over people; see `estimate_mean`.

    Raises:
        UnknownMetric: no metric has this name.
    """
    values = np.array([metric_value(name, int(rank)) for rank in of_ranks])
    return estimate_mean(values, generator, confidence=confidence, resamples=resamples)


def estimate_mean(
    values: NDArray[np.float64], generator: np.random.Generator, *, confidence: float = 0.95, resamples: int = 1000
) -> Estimate:
    """Mean of one value per person with a percentile bootstrap over people (Efron 1979)."""
    # Resampling n people with replacement is drawing how often each of them is taken; a few times at once, for memory.
    people, at_once = len(values), max(_MOST_DRAWN_AT_ONCE // len(values), 1)
    means = [
        generator.multinomial(people, np.full(people, 1 / people), size=min(at_once, resamples - drawn))
        @ values
        / people
        for drawn in range(0, resamples, at_once)
    ]
    low, high = np.quantile(np.concatenate(means), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(values.mean()), float(low), float(high))


def sampled_ranks(
    score: Scorer, cases: Sequence[HeldOut], negatives: Sequence[NDArray[np.integer]]
) -> NDArray[np.int64]:
    """Ranks among given negatives only, the protocol of He et al. 2017 (https://arxiv.org/abs/1708.05031).

    For comparison with published figures, on published negatives. It can reverse the order of two
    recommenders; `ranks` is the one to choose by.

    Args:
        score: Scores of all items for a history.
        cases: The held-out items.
        negatives: For each case the items that compete with it; the target itself, if listed, does not.
    """
    pairs = zip(cases, negatives, strict=True)
    return np.array([rank_among(score(case.history), case.target, listed) for case, listed in pairs], dtype=np.int64)


def rank_among(scores: NDArray[np.floating], target: int, listed: NDArray[np.integer]) -> int:
    """Rank of the target among itself and the listed items; the target, if it is listed too, competes once."""
    competitors = np.asarray(listed)[np.asarray(listed) != target]
    nobody = np.zeros(0, dtype=np.int64)
    return rank_of(scores[np.concatenate([[target], competitors])], 0, nobody)


Sampler = Callable[[History, int, int, np.random.Generator], NDArray[np.int64]]
"""Draws training negatives: history, number of items, how many, randomness."""


def probe_hit_rate(
    sampler: Sampler, cases: Sequence[HeldOut], number_of_items: int, generator: np.random.Generator
) -> float:
    """HR@10 among 99 negatives of a scorer that only counts how rarely an item was drawn for training.

    It knows nothing of taste, so it must stay at chance, about 0.1. A sampler that avoids the held-out item
    takes it to 1: then every figure of a model trained with this sampler is worthless.
    """
    hits = 0
    for case in cases:
        drawn = sampler(case.history, number_of_items, 20 * number_of_items, generator)
        rarity = -np.bincount(drawn, minlength=number_of_items).astype(np.float64)
        unseen = np.setdiff1d(np.arange(number_of_items), case.history.items)
        competitors = generator.choice(unseen[unseen != case.target], size=99, replace=False)
        hits += int(rank_among(rarity, case.target, competitors) <= 10)
    return hits / len(cases)
