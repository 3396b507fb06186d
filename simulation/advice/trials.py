"""A quick look at quality on validation items, in a time that was asked for. The test items are never seen."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedrec_recipes.evaluation import Estimate, HeldOut, estimate
from fedrec_recipes.recipe import History, Recipe
from simulation.advice.candidates import candidates, is_dense
from simulation.advice.survey import Order
from simulation.final_test import ranks_of

METRICS = ("hr@10", "ndcg@10")
_FIRST_STAGE = 250
_GROWTH = 4
_SHARE_OF_A_SOLUTION = 0.1
_SOLUTION_FLOPS = 12.0
"""Floating-point operations to solve a dense candidate, as a multiple of the cube of its items."""
_TIMED_ORDER = 600

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Trial:
    """One recipe on the validation items of some of the people."""

    recipe: str
    metrics: dict[str, Estimate]
    """Means over people with 95% bootstrap intervals."""
    people: int
    items: int
    """The most popular items of the catalogue that the trial was about; all, if there was time."""
    seconds: float


def run_trials(
    histories: Sequence[History], number_of_items: int, order: Order, *, seconds: float, seed: int, progress: Progress
) -> list[Trial]:
    """Train every candidate centrally, which is what its rounds come to, and rank everybody's validation item.

    Starts with a few people and takes four times as many while that should fit into `seconds`; all candidates
    are measured on the same people.

    Args:
        histories: Everybody's, two interactions or more, without the test item; the last one validates.
        number_of_items: Size of the catalogue.
        order: Without an order in time, histories are shuffled first: the validation item is any of them.
        seconds: Time to spend; one stage is always finished.
        seed: Of the choice of people, of shuffling, training and intervals.
        progress: Told what is being done.
    """
    started = time.perf_counter()
    generator = np.random.default_rng(seed)
    if order is Order.ITEM:
        histories = [History(generator.permutation(history.items)) for history in histories]
    shuffled = [histories[person] for person in generator.permutation(len(histories))]
    most_items = min(number_of_items, _affordable_items(_SHARE_OF_A_SOLUTION * seconds))
    people = min(_FIRST_STAGE, len(shuffled))
    while True:
        stage_started = time.perf_counter()
        kept, items = _most_popular(shuffled[:people], number_of_items, most_items)
        trials = [_trial(recipe, kept, seed, progress) for recipe in candidates(items, order)]
        now = time.perf_counter()
        if people == len(shuffled) or now - started + _GROWTH * (now - stage_started) > seconds:
            return trials
        people = min(_GROWTH * people, len(shuffled))


def _trial(recipe: Recipe[Any], histories: Sequence[History], seed: int, progress: Progress) -> Trial:
    progress(f"{recipe.name}: {len(histories)} people, {recipe.config.number_of_items} items")
    started = time.perf_counter()
    cases = [HeldOut(person, each.without_last(1), int(each.items[-1])) for person, each in enumerate(histories)]
    shared = recipe.train_central([case.history for case in cases], np.random.default_rng(seed))
    ranks = ranks_of(recipe, shared, lambda _: {}, cases)
    metrics = {name: estimate(name, ranks, np.random.default_rng(seed)) for name in METRICS}
    took = time.perf_counter() - started
    return Trial(recipe.name, metrics, len(histories), recipe.config.number_of_items, took)


def _affordable_items(seconds: float) -> int:
    """The largest catalogue that a dense candidate can be solved for in this time on this machine."""
    matrix = np.eye(_TIMED_ORDER) + 1.0 / _TIMED_ORDER
    started = time.perf_counter()
    np.linalg.inv(matrix)
    flops = 2.0 * _TIMED_ORDER**3 / (time.perf_counter() - started)
    return max(int((seconds * flops / _SOLUTION_FLOPS) ** (1 / 3)), _TIMED_ORDER)


def _most_popular(histories: Sequence[History], number_of_items: int, most: int) -> tuple[list[History], int]:
    """The histories among the most popular items, renumbered, of those who still have two; and how many items."""
    if most >= number_of_items or not any(is_dense(recipe) for recipe in candidates(number_of_items, Order.FILE)):
        return list(histories), number_of_items
    counts = np.bincount(np.concatenate([history.items for history in histories]), minlength=number_of_items)
    kept = np.sort(np.argsort(-counts, kind="stable")[:most])
    place = np.full(number_of_items, -1)
    place[kept] = np.arange(len(kept))
    narrowed = [History(place[history.items][place[history.items] >= 0]) for history in histories]
    long = [history for history in narrowed if len(history) >= 2]
    return (long, len(kept)) if long else (list(histories), number_of_items)
