"""How well an attack tells two groups apart, with a confidence interval."""

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

    def is_chance(self, standard_errors: float = 4.0) -> bool:
        """Whether one half lies within so many standard errors of what was measured."""
        spread = (self.high - self.low) / 2 / NormalDist().inv_cdf((1 + _CONFIDENCE) / 2)
        return abs(self.mean - 0.5) <= standard_errors * spread


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
