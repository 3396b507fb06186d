"""Whether a model of the order of a whole history pays beside the recipe that is proposed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.manifest import RecipeChoice
from fedrec_recipes.combined import Combined, CombinedConfig
from fedrec_recipes.evaluation import HeldOut
from fedrec_recipes.recipe import History, Recipe
from fedrec_recipes.sasrec import Sasrec, SasrecConfig
from simulation.advice.candidates import label, largest_transfer
from simulation.advice.survey import Order
from simulation.advice.trial import MOST_RANKED, Trial, preferred, trial_of
from simulation.advice.trials import Outcome, Progress, Question
from simulation.final_test import ranks_of

_MANY_ITEMS = 5_000
"""Beyond, a sample of the items competes with the next one: it takes less time."""
_NEGATIVES = 512
_TIMED_PEOPLE = 32
_SAFETY = 0.8


@dataclass(frozen=True)
class Beside:
    """A second recipe that was tried together with the proposed one."""

    recipe: Sasrec
    together: Trial
    """Of both, with weights that people chose."""
    alone: Trial
    """Of the proposed one, on the same people and items."""

    @property
    def pays(self) -> bool:
        """Whether both together clearly surpass the one."""
        return preferred([self.alone, self.together]) == 1


@dataclass(frozen=True)
class TooLong:
    """There was no time to try it."""

    name: str
    """What both are called."""
    missing_seconds: float
    """How much more time it would have needed, about."""


def beside(question: Question, outcome: Outcome, *, seconds: float, progress: Progress) -> Beside | TooLong | None:
    """Try what was chosen together with `sasrec`; None where that does not suit.

    Args:
        question: What was tried on what.
        outcome: What was chosen.
        seconds: The time that is left.
        progress: Told what is being done.
    """
    started = time.perf_counter()
    if outcome.chosen == 0 or question.order is Order.ITEM:
        return None
    items = question.number_of_items
    partner = sasrec_of(items)
    both = _both(question.candidates(items)[outcome.chosen], partner)
    if largest_transfer(both) > question.largest_bytes:
        return None
    missing = inf
    for alone in (outcome.expected, outcome.trials[outcome.chosen]):
        if alone.items < items:
            continue
        histories = question.histories[: alone.people]
        needed = _seconds_needed(alone, partner, histories) / _SAFETY
        left = seconds - (time.perf_counter() - started)
        if needed <= left:
            progress(f"{_name(both)}: {len(histories):,} people")
            return Beside(partner, try_both(both, histories, question.seed), alone)
        missing = min(missing, needed - left)
    return None if missing == inf else TooLong(_name(both), missing)


def sasrec_of(number_of_items: int) -> Sasrec:
    """The second recipe for a catalogue of this size."""
    negatives = _NEGATIVES if number_of_items > _MANY_ITEMS else None
    return Sasrec(SasrecConfig(number_of_items=number_of_items, negatives=negatives))


def try_both(recipe: Combined, histories: Sequence[History], seed: int) -> Trial:
    """Train the members, and rank the last items with weights that other people chose by theirs.

    Half of the people choose for the other half: nobody is measured with weights that their own item had a part in, and
    the members learn from as much as in a trial of one alone.

    Args:
        recipe: What to try.
        histories: Two interactions or more; the last one validates.
        seed: Of training and of intervals.
    """
    started = time.perf_counter()
    cases = [HeldOut(person, each.without_last(1), int(each.items[-1])) for person, each in enumerate(histories)]
    known = [case.history for case in cases]
    members = [
        member.train_central(known, np.random.default_rng(seed), base=initial_parameters(member.shared, seed))
        for member in recipe.members
    ]
    base = recipe.combination(members)
    trained = time.perf_counter()
    ranks = np.zeros(min(len(cases), MOST_RANKED), dtype=np.int64)
    for asked in (0, 1):
        choosing = histories[1 - asked : MOST_RANKED : 2]
        totals = {spec.name: np.zeros(spec.shape) for spec in recipe.statistics}
        for history in choosing:
            recipe.add(totals, base, history)
        ranks[asked::2] = ranks_of(recipe, recipe.solve(base, totals), lambda _: {}, cases[asked:MOST_RANKED:2])
    return trial_of(
        _name(recipe),
        ranks,
        people=len(histories),
        items=recipe.config.number_of_items,
        training_seconds=trained - started,
        ranking_seconds=time.perf_counter() - trained,
        seed=seed,
    )


def _both(first: Recipe[Any], second: Recipe[Any]) -> Combined:
    members: tuple[RecipeChoice, ...] = (first.choice, second.choice)
    return Combined(CombinedConfig(number_of_items=first.config.number_of_items, members=members))


def _name(both: Combined) -> str:
    return " + ".join(label(member) for member in both.members)


def _seconds_needed(alone: Trial, partner: Sasrec, histories: Sequence[History]) -> float:
    """How long both take to be trained and ranked: the first took as long before, the second is timed on a few."""
    some = histories[:: max(len(histories) // _TIMED_PEOPLE, 1)][:_TIMED_PEOPLE]
    started = time.perf_counter()
    partner.train_central(some, np.random.default_rng(0), epochs=1)
    per_person = (time.perf_counter() - started) / len(some)
    first = alone.training_seconds + 3 * alone.ranking_seconds  # scored to choose and to measure, beside the other
    return first + per_person * partner.central_epochs * len(histories)
