"""What the counts of an evaluation say: means with intervals, per slice, and how the catalogue is used."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fedrec_recipes.metrics import metric_value

_TWO_SIDED_95 = 1.959963984540054
"""Quantile of the normal distribution."""


def of_histogram(counts: NDArray[np.float64], metrics: Sequence[str]) -> dict[str, float]:
    """Means of metrics, each with its 95% interval, from how often each rank occurred.

    A metric is a function of the rank, so the histogram gives its mean and variance exactly. The interval is
    the normal one, mean +- 1.96 standard errors, within [0, 1]; below some tens of cases it is too narrow.

    Args:
        counts: Cases of rank 1, 2, ..., then all that rank lower, shape (deepest + 1,).
        metrics: Names with a cut-off of at most `deepest`, e.g. `ndcg@10`.

    Returns:
        `ndcg@10`, `ndcg@10.low` and `ndcg@10.high` for each metric; nothing where nothing was counted.
    """
    cases = counts.sum()
    if cases <= 0:
        return {}
    found: dict[str, float] = {}
    for metric in metrics:
        values = np.array([metric_value(metric, rank) for rank in range(1, len(counts))] + [0.0])
        mean = float(counts @ values / cases)
        variance = float(counts @ (values - mean) ** 2) / max(cases - 1, 1)
        found |= _with_interval(metric, mean, (variance / cases) ** 0.5)
    return found


def of_catalogue(exposure: NDArray[np.float64], interactions: NDArray[np.float64], people: float) -> dict[str, float]:
    """How recommendations spread over the catalogue.

    Coverage is the share of items that are recommended to anybody. Gini is the inequality of how often
    items are recommended: 0 when all are equally often, near 1 when a few take all. Novelty is the mean
    self-information of a recommended item, -log2 of the share of people who know it, in bits (Vargas and
    Castells 2011, https://doi.org/10.1145/2043932.2043955); an item that nobody knows counts as known to one.

    Args:
        exposure: How many people each item is recommended to, shape (number_of_items,).
        interactions: How many people have each item in their history, same shape.
        people: Number of people.
    """
    shown = exposure.sum()
    if shown <= 0 or people <= 0:
        return {}
    information = -np.log2(np.clip(interactions, 1, people) / people)
    return {
        "coverage": float(np.mean(exposure > 0)),
        "gini": _gini(exposure),
        "novelty": float(exposure @ information / shown),
    }


def by_popularity(
    sums: Mapping[str, NDArray[np.float64]],
    targets: NDArray[np.float64],
    interactions: NDArray[np.float64],
    popular_share: float,
) -> Iterator[tuple[str, dict[str, float]]]:
    """Means over held-out items among the most popular of the catalogue, and among the rest.

    Args:
        sums: For each metric its sum by held-out item, shape (number_of_items,).
        targets: How often each item was held out, same shape.
        interactions: How many people have each item, same shape; decides who is popular, the lower index of equals.
        popular_share: Share of the catalogue that counts as popular.
    """
    order = np.argsort(-interactions, kind="stable")
    cut = round(popular_share * len(order))
    for name, items in (("popular items", order[:cut]), ("other items", order[cut:])):
        cases = targets[items].sum()
        if cases > 0:
            yield name, {metric: float(of_item[items].sum() / cases) for metric, of_item in sums.items()}


def _with_interval(metric: str, mean: float, standard_error: float) -> dict[str, float]:
    half = _TWO_SIDED_95 * standard_error
    return {metric: mean, f"{metric}.low": max(mean - half, 0.0), f"{metric}.high": min(mean + half, 1.0)}


def _gini(values: NDArray[np.float64]) -> float:
    """Half the relative mean absolute difference, by the sorted form that needs no pairs."""
    ordered = np.sort(values)
    places = np.arange(1, len(ordered) + 1)
    return float((2 * places - len(ordered) - 1) @ ordered / (len(ordered) * ordered.sum()))
