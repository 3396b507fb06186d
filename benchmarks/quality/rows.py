"""One line of a results table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from benchmarks.quality.data import QualityData
from benchmarks.quality.training import Model
from fedrec_recipes.evaluation import Estimate, estimate, rank_among
from fedrec_recipes.metrics import metric_value, rank_of

HR, NDCG = "hr@10", "ndcg@10"


class Interval(BaseModel):
    """A mean over people with its 95% bootstrap interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, estimated: Estimate) -> "Interval":
        """From an estimate."""
        return cls(mean=estimated.mean, low=estimated.low, high=estimated.high)


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
    ndcg: Interval
    sampled_hr: float | None = None
    """Among the published 99 negatives; None where none are published."""
    sampled_ndcg: float | None = None
    spread: float | None = None
    """Standard deviation of NDCG over the seeds; None for what has no randomness."""
    seeds: int = 1
    coverage: float
    """Share of the catalogue that is in anybody's first ten."""
    rounds: int
    megabytes_up: float
    """One person's, over all rounds."""
    megabytes_down: float
    epsilon: float | None = None
    seconds: float

    @property
    def key(self) -> tuple[str, ...]:
        """What there is one row of."""
        return self.slug, self.model, self.how, self.fit


@dataclass(frozen=True)
class Scored:
    """Ranks of every test item, and how the first ten places are used."""

    full: NDArray[np.int64]
    """Ranks among all unseen items, shape (cases,)."""
    sampled: NDArray[np.int64] | None
    """Ranks among the published negatives."""
    coverage: float

    def mean(self, metric: str) -> float:
        """Mean of a metric over people, by full ranking."""
        return _mean(metric, self.full)

    def sampled_mean(self, metric: str) -> float | None:
        """The same among the published negatives; None where there are none."""
        return None if self.sampled is None else _mean(metric, self.sampled)


def score(model: Model, data: QualityData) -> Scored:
    """Look at the test items."""
    full, sampled = [], []
    shown = np.zeros(data.number_of_items, dtype=bool)
    for place, case in enumerate(data.test):
        scores = model.recipe.score(model.shared, model.private_of(case.person), case.history)
        full.append(rank_of(scores, case.target, case.history.items))
        shown[_first_ten(scores, case.history.items)] = True
        if data.negatives is not None:
            sampled.append(rank_among(scores, case.target, data.negatives[place]))
    return Scored(np.array(full), np.array(sampled) if sampled else None, float(shown.mean()))


def intervals(scored: Sequence[Scored]) -> tuple[Interval, Interval]:
    """HR and NDCG: means over the seeds, the interval of the first seed moved there."""
    found = []
    for metric in (HR, NDCG):
        first = estimate(metric, scored[0].full, np.random.default_rng(0))
        shift = float(np.mean([each.mean(metric) for each in scored])) - first.mean
        found.append(Interval(mean=first.mean + shift, low=first.low + shift, high=first.high + shift))
    return found[0], found[1]


def _mean(metric: str, ranks: NDArray[np.int64]) -> float:
    return float(np.mean([metric_value(metric, int(rank)) for rank in ranks]))


def _first_ten(scores: NDArray[np.floating], seen: NDArray[np.integer]) -> NDArray[np.int64]:
    unseen = np.asarray(scores, dtype=np.float64).copy()
    unseen[seen] = -np.inf
    return np.argpartition(-unseen, 10)[:10]
