"""Federated against central training of the same recipe, seed by seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from benchmarks.quality.rows import Row
from benchmarks.quality.run import CENTRAL, FEDERATED


@dataclass(frozen=True)
class Difference:
    """How much NDCG federated training has above central training from the same first parameters."""

    federated: float
    """Mean over the seeds, as the next two."""
    central: float
    mean: float
    """Federated minus central."""
    standard_error: float
    """Of the mean difference, by the spread of differences between seeds; the people are the same in all of them."""
    seeds: int

    @classmethod
    def of(cls, federated: Sequence[float], central: Sequence[float]) -> Self:
        """From values of the same seeds in the same order, at least two.

        Raises:
            ValueError: not as many on both sides, or fewer than two.
        """
        if not len(federated) == len(central) >= 2:
            raise ValueError("a paired difference needs the same seeds on both sides, at least two")
        differences = np.subtract(federated, central)
        standard_error = float(differences.std(ddof=1)) / len(differences) ** 0.5
        means = (float(np.mean(federated)), float(np.mean(central)), float(differences.mean()))
        return cls(*means, standard_error, len(differences))

    @property
    def cells(self) -> list[str]:
        """Seeds, both means, the difference, and the same in percent of central with its standard error."""
        percent = 100 / self.central
        return [
            str(self.seeds),
            *(f"{self.federated:.4f}", f"{self.central:.4f}", f"{self.mean:+.4f}"),
            f"{percent * self.mean:+.1f} +- {percent * self.standard_error:.1f}",
        ]


def paired(rows: Sequence[Row]) -> Iterator[tuple[Row, Difference]]:
    """The federated rows that have a central one with the same seeds, in order."""
    central = {_same_model(row): row.ndcg_by_seed or () for row in rows if row.how == CENTRAL}
    for row in rows:
        if row.how == FEDERATED and row.ndcg_by_seed is not None:
            other = central.get(_same_model(row), ())
            if len(other) == len(row.ndcg_by_seed) > 1:
                yield row, Difference.of(row.ndcg_by_seed, other)


def _same_model(row: Row) -> tuple[str, str, str]:
    return row.slug, row.model, row.fit
