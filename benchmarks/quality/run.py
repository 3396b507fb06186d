"""From an entry to its rows."""

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from benchmarks.quality.combination import combined
from benchmarks.quality.data import QualityData
from benchmarks.quality.entries import Entry, Table
from benchmarks.quality.kept import Versions
from benchmarks.quality.rows import Row, intervals, score
from benchmarks.quality.training import Model, central, federated

CENTRAL = "central"
FEDERATED = "federated"


def rows_of(table: Table, entry: Entry, data: QualityData, versions: Versions | None = None) -> Iterator[Row]:
    """Train with every seed, look at the test once for each, and sum up.

    Args:
        table: Where the rows go.
        entry: What to train.
        data: Who learns from what, and what is asked.
        versions: Where the members of combined models are kept; None keeps none.
    """
    if entry.members:
        kept, is_refitted = versions or Versions(None), entry.fit != "train"
        yield _row(
            *(table, entry, data, FEDERATED),
            lambda seed: combined(data, entry.members, seed, is_refitted=is_refitted, versions=kept),
        )
        return
    yield _row(table, entry, data, FEDERATED, lambda seed: federated(data, entry.stages, seed))
    if entry.with_central:
        yield _row(table, entry, data, CENTRAL, lambda seed: central(data, entry.stages[-1], seed))


def _row(table: Table, entry: Entry, data: QualityData, how: str, train: Callable[[int], Model]) -> Row:
    started = time.monotonic()
    models, scored = [], []
    for seed in entry.seeds:
        model = train(seed)
        scored.append(score(model, data))
        models.append((model.rounds, model.bytes_up, model.bytes_down, model.epsilon))  # not the model: it may be large
    hr, ndcg = intervals(scored)
    by_seed = [float(each.full.gains.mean()) for each in scored]
    rounds, up, down, epsilon = models[0]
    return Row(
        slug=table.slug,
        data=data.name,
        model=entry.model,
        how=how,
        fit=entry.fit,
        hr=hr,
        ndcg=ndcg,
        sampled_hr=_mean([each.sampled.hits.mean() for each in scored if each.sampled]),
        sampled_ndcg=_mean([each.sampled.gains.mean() for each in scored if each.sampled]),
        spread=float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else None,
        seeds=len(by_seed),
        ndcg_by_seed=by_seed,
        coverage=float(np.mean([each.coverage for each in scored])),
        rounds=rounds,
        megabytes_up=up / 1e6,
        megabytes_down=down / 1e6,
        epsilon=epsilon,
        seconds=(time.monotonic() - started) / len(entry.seeds),
    )


def _mean(values: Sequence[float]) -> float | None:
    """None where there is nothing to take the mean of."""
    return float(np.mean(values)) if values else None
