"""Measuring a model on the device, on interactions that were held out of training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedrec_recipes.metrics import metric_value, parse_metric, rank_of
from fedrec_recipes.recipe import History

Scorer = Callable[[History], NDArray[np.float32]]
"""Scores of all items for a history, shape (number_of_items,)."""


@dataclass(frozen=True)
class Evaluation:
    """Metrics as they are reported: sums, which add up over devices."""

    count: int
    """Number of evaluations made."""
    sums: Mapping[str, float]
    """Sum of each metric over the evaluations; empty when there were none."""

    def mean(self, metric: str) -> float:
        """Mean of a metric on this device.

        Raises:
            ZeroDivisionError: nothing was evaluated.
        """
        return self.sums[metric] / self.count


NOTHING_EVALUATED = Evaluation(0, {})
_NOTHING = np.zeros(0, dtype=np.int64)


def evaluate_held_out(
    score: Scorer,
    history: History,
    holdout: int,
    metrics: tuple[str, ...],
    *,
    seen: Callable[[History], NDArray[np.int64]],
    ruled_out: NDArray[np.int64] | None = None,
) -> Evaluation:
    """Rank each of the last `holdout` interactions with what came before it.

    Full ranking over all items minus those that were seen, ties pessimistic (`fedrec_recipes.metrics`).
    The first interaction is never a question: there is nothing to answer it from.

    Args:
        score: Scores of all items for a history.
        history: The interactions, the held-out ones last.
        holdout: How many are held out.
        metrics: Names of metrics.
        seen: Items of the earlier history that do not compete.
        ruled_out: Items that may not be recommended: they do not compete, and are not asked for.

    Raises:
        UnknownMetric: a metric that `fedrec_recipes.metrics` does not know.
    """
    for metric in metrics:
        parse_metric(metric)
    ruled_out = _NOTHING if ruled_out is None else ruled_out
    before = [history.without_last(count) for count in range(min(holdout, len(history) - 1), 0, -1)]
    asked = [(context, int(history.items[len(context)])) for context in before]
    ranks = [
        rank_of(score(context), target, np.concatenate([seen(context), ruled_out]))
        for context, target in asked
        if target not in ruled_out
    ]
    if not ranks:
        return NOTHING_EVALUATED
    return Evaluation(len(ranks), {metric: sum(metric_value(metric, rank) for rank in ranks) for metric in metrics})
