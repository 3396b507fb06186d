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
_FIRST_STAGES = (250, 500)
_SAFETY = 0.8
"""Share of the time that is left which the last stage may be expected to take."""
_WORTHWHILE = 1.5
"""A last stage with fewer times the people is not worth its time."""
_SHARE_OF_A_SOLUTION = 0.1
_SOLUTION_FLOPS = 18.0
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

    Two stages with a few people tell how long a last one would take, which gets as many as fit into `seconds`.
    All candidates of a stage are measured on the same people.

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

    def stage(people: int) -> list[Trial]:
        kept, items = _most_popular(shuffled[:people], number_of_items, most_items)
        return [_trial(recipe, kept, seed, progress) for recipe in candidates(items, order)]

    stages: list[tuple[int, list[Trial]]] = []
    people: int | None = min(_FIRST_STAGES[0], len(shuffled))
    while people is not None:
        stages.append((people, stage(people)))
        left = seconds - (time.perf_counter() - started)
        people = _next_stage([(size, _seconds(trials)) for size, trials in stages], left, len(shuffled))
    return stages[-1][1]


def _next_stage(stages: list[tuple[int, float]], left: float, most: int) -> int | None:
    """How many people the next stage takes: what should fit, as a straight line through the last two stages says.

    Args:
        stages: People and seconds of the stages so far.
        left: Seconds.
        most: All people.
    """
    people, took = stages[-1]
    if people == most:
        return None
    if len(stages) == 1:
        fits = 2 * took <= _SAFETY * left
        return min(_FIRST_STAGES[1], most) if fits else None
    before, took_before = stages[-2]
    of_one = max((took - took_before) / (people - before), took / people / 10)
    affordable = min(int(people + (_SAFETY * left - took) / of_one), most)
    return affordable if len(stages) == 2 and affordable >= min(_WORTHWHILE * people, most) else None


def _seconds(trials: list[Trial]) -> float:
    return sum(trial.seconds for trial in trials)


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
