"""How well an attack tells two groups apart: on average, and where it is not allowed to be wrong.

An attack that names a few people with certainty and knows nothing of all others has an AUC near one half. So the share
that is found while hardly anybody is accused wrongly stands beside it (Carlini et al. 2022,
https://arxiv.org/abs/2112.03570).
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Auc:
    """Area under the ROC curve: one half is guessing, one is certainty."""

    mean: float
    low: float
    """Lower end of the 95% confidence interval."""
    high: float
    """Upper end."""

    def is_chance(self) -> bool:
        """Whether one half lies within four standard errors of what was measured."""
        spread = (self.high - self.low) / 2 / NormalDist().inv_cdf((1 + _CONFIDENCE) / 2)
        return abs(self.mean - 0.5) <= 4 * spread


@dataclass(frozen=True)
class Rates:
    """What an attack finds."""

    auc: Auc
    found_at_one_percent: float | None
    """True positive rate where at most 1% of the negatives are accused; None with fewer than 100 of them."""
    found_at_one_permille: float | None
    """The same for 0.1%; None with fewer than 1,000."""

    @classmethod
    def of(cls, positives: NDArray[np.floating], negatives: NDArray[np.floating], *, auc: Auc | None = None) -> "Rates":
        """The rates of a score; `auc` where it is not that of all scores together."""
        found = (true_positive_rate(positives, negatives, rate) for rate in (0.01, 0.001))
        return cls(auc or auc_of(positives, negatives), *found)


def true_positive_rate(
    positives: NDArray[np.floating], negatives: NDArray[np.floating], false_positive_rate: float
) -> float | None:
    """Share of the positives above a threshold that at most this share of the negatives exceeds.

    Args:
        positives: Scores of those for whom the answer is yes, shape (m,).
        negatives: Of those for whom it is no, shape (n,).
        false_positive_rate: Of the negatives.

    Returns:
        None where not even one negative may exceed the threshold: so few cannot tell.
    """
    allowed = math.floor(false_positive_rate * len(negatives) * (1 + 1e-9))
    if allowed < 1:
        return None
    threshold = np.partition(negatives, -allowed - 1)[-allowed - 1]
    return float(np.mean(positives > threshold))


def auc_of(positives: NDArray[np.floating], negatives: NDArray[np.floating]) -> Auc:
    """AUC of a score; the interval is that of DeLong et al. 1988, from the placements of either group.

    Args:
        positives: Scores of those for whom the answer is yes, shape (m,).
        negatives: Of those for whom it is no, shape (n,).
    """
    of_positives, of_negatives = placements(positives, negatives), 1 - placements(negatives, positives)
    variance = of_positives.var(ddof=1) / len(positives) + of_negatives.var(ddof=1) / len(negatives)
    return _interval(float(of_positives.mean()), float(np.sqrt(variance)))


def mean_auc(each: NDArray[np.floating]) -> Auc:
    """Mean of the AUCs of independent people, shape (people,)."""
    return _interval(float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each))))


def placements(scores: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """For each score the share of the others below it, ties counting half, shape (len(scores),)."""
    ranks = rankdata(np.concatenate([scores, others]))[: len(scores)]
    return np.asarray((ranks - rankdata(scores)) / len(others))


def _interval(mean: float, standard_error: float) -> Auc:
    reach = NormalDist().inv_cdf((1 + _CONFIDENCE) / 2) * standard_error
    return Auc(mean, max(mean - reach, 0.0), min(mean + reach, 1.0))
