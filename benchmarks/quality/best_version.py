"""Which version of a task is kept: the last, or the best on validation items."""

from collections.abc import Sequence
from typing import Any

from fedrec_protocol.tensors import Tensors
from fedrec_recipes.evaluation import HeldOut, mean_metric, ranks
from fedrec_recipes.recipe import Recipe


class BestVersion:
    """The best of the versions that were measured, by NDCG@10 on validation items; without measuring, the last.

    An operator does the same when they promote the version with the best metrics of its rounds.

    Args:
        recipe: The recipe of the task.
        validation: What is measured.
        every: Rounds from one measurement to the next; None never measures.
    """

    def __init__(self, recipe: Recipe[Any], validation: Sequence[HeldOut], every: int | None) -> None:
        self._recipe, self._validation, self._every = recipe, validation, every
        self._best = -1.0
        self.shared: Tensors = {}
        """The tensors of the version to keep."""

    def see(self, number: int, shared: Tensors) -> None:
        """The version that a round has left."""
        if self._every is None:
            self.shared = shared
        elif number % self._every == 0:
            ndcg = mean_metric(
                "ndcg@10", ranks(lambda history: self._recipe.score(shared, {}, history), self._validation)
            )
            if ndcg > self._best:
                self._best, self.shared = ndcg, shared
