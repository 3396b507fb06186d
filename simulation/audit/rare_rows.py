"""Rows of an item table that only one participant of a cohort touched: an exact sum shows them as reported."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedrec_recipes.recipe import History

_DRAWS = 20


@dataclass(frozen=True)
class RareRowFigures:
    """How much of a sum is a single person's."""

    cohort: int
    """People in a round."""
    single_owner_share: float
    """Of the items that anybody of the cohort has, the share that only one has; mean over random cohorts."""
    people_with_one: float
    """Share of the cohort who have such an item."""


def audit_rare_rows(histories: Sequence[History], cohort: int, *, seed: int) -> RareRowFigures:
    """Count over random cohorts.

    Raises:
        ValueError: a cohort larger than there are people.
    """
    generator = np.random.Generator(np.random.Philox(key=seed))
    shares, people = [], []
    for _ in range(_DRAWS):
        drawn = generator.choice(len(histories), size=cohort, replace=False)
        items = [np.unique(histories[person].items) for person in drawn]
        counts = np.bincount(np.concatenate(items))
        shares.append(np.count_nonzero(counts == 1) / np.count_nonzero(counts))
        people.append(np.mean([bool((counts[each] == 1).any()) for each in items]))
    return RareRowFigures(cohort, float(np.mean(shares)), float(np.mean(people)))
