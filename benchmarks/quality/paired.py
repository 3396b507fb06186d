"""Federated against central training of the same recipe, seed by seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from benchmarks.quality.rows import Row
from benchmarks.quality.run import CENTRAL, FEDERATED


@dataclass(frozen=True)
class Paired:
    """How much NDCG a federated row has above the central one that starts from the same parameters."""

    federated: Row
    central: Row
    difference: float
    """Mean over the seeds of federated minus central."""
    standard_error: float
    """Of that mean, from the spread of the differences between seeds; the people are the same in all of them."""

    @classmethod
    def of(cls, federated: Row, central: Row) -> Self | None:
        """None where there are not the same seeds, at least two, on both sides."""
        if len(federated.ndcg_by_seed) != len(central.ndcg_by_seed) or len(federated.ndcg_by_seed) < 2:
            return None
        differences = np.subtract(federated.ndcg_by_seed, central.ndcg_by_seed)
        standard_error = float(differences.std(ddof=1)) / len(differences) ** 0.5
        return cls(federated, central, float(differences.mean()), standard_error)


def paired(rows: Sequence[Row]) -> Iterator[Paired]:
    """All pairs among the rows, in the order of the federated ones."""
    central = {_same_model(row): row for row in rows if row.how == CENTRAL}
    for row in rows:
        other = central.get(_same_model(row)) if row.how == FEDERATED else None
        pair = None if other is None else Paired.of(row, other)
        if pair is not None:
            yield pair


def _same_model(row: Row) -> tuple[str, str, str]:
    return row.slug, row.model, row.fit
