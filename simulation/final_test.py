"""The one look at the test items, after everything was chosen: the model and what it is measured against."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedrec.data.split import Split
from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.evaluation import Estimate, HeldOut, estimate
from fedrec_recipes.metrics import rank_of
from fedrec_recipes.recipe import Recipe
from simulation.vectorised.catalogue import vectorised

PrivateOf = Callable[[int], Tensors]
"""Private tensors of a person."""


@dataclass(frozen=True)
class TestRow:
    """One model's quality on the test items."""

    __test__ = False  # not a test class

    model: str
    """What was measured, in words."""
    metrics: dict[str, Estimate]
    """Means over people with 95% bootstrap intervals."""


def federated_row(
    recipe: Recipe[Any], shared: Tensors, private_of: PrivateOf, split: Split, *, metrics: tuple[str, ...], seed: int
) -> TestRow:
    """The simulated model, scored as each person's device would."""
    ranks = ranks_of(recipe, shared, private_of, split.test, keeps_seen=split.keeps_seen)
    return TestRow(f"{recipe.name}, federated", _estimates(ranks, metrics, seed))


def central_row(recipe: Recipe[Any], split: Split, *, metrics: tuple[str, ...], seed: int) -> TestRow:
    """The same recipe, trained on the same interactions in one place, from where the task started too."""
    base = initial_parameters(recipe.shared, seed)
    known = [recipe.known(history) for history in split.train]
    shared = recipe.train_central(known, np.random.default_rng(seed), base=base)
    ranks = ranks_of(recipe, shared, lambda _: {}, split.test, keeps_seen=split.keeps_seen)
    return TestRow(f"{recipe.name}, trained centrally", _estimates(ranks, metrics, seed))


def popularity_row(number_of_items: int, split: Split, *, metrics: tuple[str, ...], seed: int) -> TestRow:
    """The items that most people chose, for everybody."""
    counts = np.zeros(number_of_items)
    for history in split.train:
        counts[history.without_repeats().items] += 1
    ranks = _ranks((counts for _ in split.test), split.test, keeps_seen=split.keeps_seen)
    return TestRow("popularity", _estimates(ranks, metrics, seed))


def ranks_of(
    recipe: Recipe[Any],
    shared: Tensors,
    private_of: PrivateOf,
    cases: Sequence[HeldOut],
    *,
    keeps_seen: bool = False,
) -> NDArray[np.int64]:
    """Full-ranking rank of each held-out item, shape (len(cases),).

    Args:
        recipe: What scores.
        shared: Its model.
        private_of: Its private tensors.
        cases: What is asked.
        keeps_seen: Whether items of the history compete, whatever the recipe would recommend.
    """
    known = [replace(case, history=recipe.known(case.history)) for case in cases]
    return _ranks(_scores(recipe, shared, private_of, known), cases, keeps_seen=keeps_seen)


def _ranks(scores: Iterable[NDArray[np.floating]], cases: Sequence[HeldOut], *, keeps_seen: bool) -> NDArray[np.int64]:
    seen = (case.history.items[:0] if keeps_seen else case.history.items for case in cases)
    ranks = [rank_of(each, case.target, out) for each, case, out in zip(scores, cases, seen, strict=True)]
    return np.array(ranks, dtype=np.int64)


def _scores(
    recipe: Recipe[Any], shared: Tensors, private_of: PrivateOf, cases: Sequence[HeldOut]
) -> Iterator[NDArray[np.float32]]:
    many = vectorised(recipe)
    if many is None:
        return (recipe.score(shared, private_of(case.person), case.history) for case in cases)
    return many.score_many(shared, (private_of(case.person) for case in cases), (case.history for case in cases))


def _estimates(ranks: NDArray[np.int64], metrics: tuple[str, ...], seed: int) -> dict[str, Estimate]:
    return {name: estimate(name, ranks, np.random.default_rng(seed)) for name in metrics}
