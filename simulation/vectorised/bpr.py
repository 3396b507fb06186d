"""`bpr` for many people: the user vector that an evaluation solves serves training too.

In a round with metrics a person is evaluated just before they train, on the same history and the same item table, so
that remembering one vector is enough. Everything else depends on the person alone.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.manifest import TrainingPlan
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.bpr import BayesianPersonalisedRanking
from fedrec_recipes.item_table import Table
from fedrec_recipes.recipe import History, LocalResult


class VectorisedBpr:
    """Trains and scores for many people, one after the other."""

    def __init__(self, recipe: BayesianPersonalisedRanking) -> None:
        self._recipe = _WithMemory(recipe.config)

    def train_many(
        self,
        shared: Tensors,
        privates: Iterable[Tensors],
        histories: Iterable[History],
        plan: TrainingPlan,
        generators: Iterable[np.random.Generator],
    ) -> Iterator[LocalResult]:
        """The recipe's training of each person."""
        for private, history, generator in zip(privates, histories, generators, strict=True):
            yield self._recipe.train(shared, private, history, plan, generator)

    def score_many(
        self, shared: Tensors, privates: Iterable[Tensors], histories: Iterable[History]
    ) -> Iterator[NDArray[np.float32]]:
        """The recipe's scores for each person."""
        for private, history in zip(privates, histories, strict=True):
            yield self._recipe.score(shared, private, history)


class _WithMemory(BayesianPersonalisedRanking):
    """Remembers the last vector that it solved, with what it was solved from."""

    _last: tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]] | None = None

    def user_vector(self, embeddings: Table, bias: NDArray[np.float32], history: History) -> NDArray[np.float32]:
        """As in the recipe."""
        # Biases tell base versions apart; embeddings may be made anew for every call.
        if self._last is not None and self._last[0] is bias and np.array_equal(self._last[1], history.items):
            return self._last[2]
        vector = super().user_vector(embeddings, bias, history)
        self._last = (bias, history.items, vector)
        return vector
