"""The seam: training and scoring for many people from one base version."""

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.manifest import TrainingPlan
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.recipe import History, LocalResult


@runtime_checkable
class VectorisedTrainer(Protocol):
    """Does for many people what a recipe does for one, with the same bits."""

    def train_many(
        self,
        shared: Tensors,
        privates: Iterable[Tensors],
        histories: Iterable[History],
        plan: TrainingPlan,
        generators: Iterable[np.random.Generator],
    ) -> Iterator[LocalResult]:
        """`Recipe.train` for each person, in order.

        The arrays of a report may be overwritten when the next result is asked for: a round of
        thousands of people needs the memory of one. Private tensors are the caller's to keep.
        """
        ...

    def score_many(
        self, shared: Tensors, privates: Iterable[Tensors], histories: Iterable[History]
    ) -> Iterator[NDArray[np.float32]]:
        """`Recipe.score` for each person, in order; an array may be overwritten likewise."""
        ...
