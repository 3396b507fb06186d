"""How long a trial will take, from how long shorter ones took and how fast this machine is."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from fedrec_recipes.recipe import Recipe
from simulation.advice.candidates import growth
from simulation.advice.trial import MOST_RANKED, Trial

_FLOPS = {3: 18.0, 2: 800.0}
"""Floating-point operations to solve a recipe, as a multiple of this power of its items; measured, about."""
_TIMED_ORDER = 600
_WORTHWHILE = 1.5
"""A next stage with fewer times the people is not worth its time."""
_LEAST_SLOPE = 0.1
"""Share of a trial's time that surely grows with the number of people."""


def affordable_items(recipes: Sequence[Recipe[Any]], seconds: float) -> int | None:
    """The largest catalogue that each of these can be solved for in this time; None where size does not matter."""
    powers = {growth(recipe) for recipe in recipes} & _FLOPS.keys()
    if not powers:
        return None
    flops = seconds * _flops_per_second()
    return max(min(int((flops / _FLOPS[power]) ** (1 / power)) for power in powers), _TIMED_ORDER)


def solution_seconds(recipe: Recipe[Any]) -> float:
    """About how long this machine takes to solve a recipe from its sums, where that grows fast with the catalogue."""
    power = growth(recipe)
    items = float(recipe.config.number_of_items)
    return _FLOPS.get(power, 0.0) * items**power / _flops_per_second()


def predicted_seconds(before: Trial, last: Trial, people: int) -> float:
    """What a trial with more people takes, as a straight line through the last two of this recipe says.

    Training takes all people, ranking no more than `MOST_RANKED`.
    """
    least = _LEAST_SLOPE * last.training_seconds / last.people
    more_people = max(last.people - before.people, 1)
    slope = max((last.training_seconds - before.training_seconds) / more_people, least)
    training = last.training_seconds + slope * (people - last.people)
    return training + last.ranking_seconds * min(people, MOST_RANKED) / len(last.gains)


def affordable_people(before: Sequence[Trial], last: Sequence[Trial], seconds: float, most: int) -> int | None:
    """How many people all candidates can be tried on next: all, or the largest part in halves that should fit.

    Args:
        before: The trials before the last; the last ones where there are none before, which tells less.
        last: The last trials of these candidates.
        seconds: Time for the next ones.
        most: All people.

    Returns:
        None, where no number that is worth it should fit.
    """
    tried = last[0].people
    people = most
    while people >= min(_WORTHWHILE * tried, most) and people > tried:
        if sum(predicted_seconds(*pair, people) for pair in zip(before, last, strict=True)) <= seconds:
            return people
        people //= 2
    return None


def _flops_per_second() -> float:
    matrix = np.eye(_TIMED_ORDER) + 1.0 / _TIMED_ORDER
    started = time.perf_counter()
    np.linalg.inv(matrix)
    return 2.0 * _TIMED_ORDER**3 / (time.perf_counter() - started)
