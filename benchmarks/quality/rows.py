"""One line of a results table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from benchmarks.quality.data import QualityData
from benchmarks.quality.training import Model
from fedrec_recipes.evaluation import estimate_mean, rank_among
from fedrec_recipes.metrics import rank_of


class Interval(BaseModel):
    """A mean over people with its 95% bootstrap interval."""

    mean: float
    low: float
    high: float


class Row(BaseModel):
    """What one model scored on one data set, as it is stored."""

    slug: str
    """Which table it belongs to."""
    data: str
    model: str
    how: str
    """`federated`, `central` or `-`."""
    fit: str
    """What the model was fitted on: `train`, or `train + validation`."""
    hr: Interval
    """Recall where a person has several targets; at the table's cut-off."""
    ndcg: Interval
    sampled_hr: float | None = None
    """Among the published 99 negatives; None where none are published."""
    sampled_ndcg: float | None = None
    spread: float | None = None
    """Standard deviation of NDCG over the seeds; None for what has no randomness."""
    seeds: int = 1
    ndcg_by_seed: list[float] | None = None
    """Means over people, one for each seed in order; None in rows that were made before it was kept."""
    coverage: float
    """Share of the catalogue that is in anybody's first places."""
    rounds: int
    megabytes_up: float
    """One person's, over all rounds."""
    megabytes_down: float
    epsilon: float | None = None
    seconds: float

    @property
    def key(self) -> tuple[str, ...]:
        """What there is one row of."""
        return self.slug, self.model, self.how, self.fit, f"{self.epsilon}"


@dataclass(frozen=True)
class Values:
    """One value per person of the two metrics."""

    hits: NDArray[np.float64]
    """Share of a person's targets in the first places: HR of one target, recall of several."""
    gains: NDArray[np.float64]
    """NDCG; the ideal list begins with all targets."""

    @classmethod
    def of(cls, ranks: Sequence[NDArray[np.int64]], cutoff: int) -> "Values":
        """From the ranks of everybody's targets."""
        hits = [float(np.mean(each <= cutoff)) for each in ranks]
        gains = [_gain(each[each <= cutoff]) / _gain(np.arange(1, min(len(each), cutoff) + 1)) for each in ranks]
        return cls(np.array(hits), np.array(gains))


@dataclass(frozen=True)
class Scored:
    """What came of every test question, and how the first places are used."""

    full: Values
    """Among all unseen items."""
    sampled: Values | None
    """Among the published negatives."""
    coverage: float


def score(model: Model, data: QualityData) -> Scored:
    """Look at the test items."""
    full, sampled = [], []
    # A device widens half precision once for a list; here that would be most of the time.
    shared = {
        name: value.astype(np.float32) if value.dtype == np.float16 else value for name, value in model.shared.items()
    }
    shown = np.zeros(data.number_of_items, dtype=bool)
    for place, case in enumerate(data.test):
        scores = model.recipe.score(shared, model.private_of(case.person), case.history)
        full.append(np.array([rank_of(scores, target, case.history.items) for target in case.targets.tolist()]))
        shown[_first(data.cutoff, scores, case.history.items)] = True
        if data.negatives is not None:
            sampled.append(np.array([rank_among(scores, int(case.targets[0]), data.negatives[place])]))
    among = Values.of(sampled, data.cutoff) if sampled else None
    return Scored(Values.of(full, data.cutoff), among, float(shown.mean()))


def intervals(scored: Sequence[Scored]) -> tuple[Interval, Interval]:
    """Hits and gains: means over the seeds, the interval of the first seed moved there."""
    hits, gains = [each.full.hits for each in scored], [each.full.gains for each in scored]
    return _over_seeds(hits), _over_seeds(gains)


def _over_seeds(values: Sequence[NDArray[np.float64]]) -> Interval:
    first = estimate_mean(values[0], np.random.default_rng(0))
    shift = float(np.mean([each.mean() for each in values])) - first.mean
    return Interval(mean=first.mean + shift, low=first.low + shift, high=first.high + shift)


def _gain(ranks: NDArray[np.int64]) -> float:
    return float((1 / np.log2(ranks + 1)).sum())


def _first(count: int, scores: NDArray[np.floating], seen: NDArray[np.integer]) -> NDArray[np.int64]:
    unseen = np.asarray(scores, dtype=np.float64).copy()
    unseen[seen] = -np.inf
    return np.argpartition(-unseen, count)[:count]
