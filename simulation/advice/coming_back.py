"""What recommending again what a person had is worth, where people come back to it."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from fedrec.data.interactions import Interactions
from fedrec_recipes.habit import Habit, HabitConfig
from fedrec_recipes.recipe import History
from simulation.advice.both import both_of, try_both
from simulation.advice.survey import Order, Survey
from simulation.advice.trial import Trial, trained, try_recipe
from simulation.advice.trials import Outcome, Progress, Question, question_of

OFTEN_REPEATED = 0.05
"""Share of rows that name an item their person had before from which that is looked at."""


@dataclass(frozen=True)
class ComingBack:
    """Trials where what comes next may be anything, new or not."""

    habit: Trial
    """Of `habit` alone."""
    together: Trial
    """Of the proposed recipe and `habit`, with weights that other people chose."""
    config: str
    """Of `combined`, to simulate both."""


def coming_back(
    interactions: Interactions,
    found: Survey,
    question: Question,
    outcome: Outcome,
    *,
    seconds: float,
    progress: Progress,
) -> ComingBack | None:
    """Try what was chosen together with `habit` on people's next interactions, whether new or not.

    Args:
        interactions: The data.
        found: What it is like: where hardly anything is repeated there is nothing to try.
        question: What was tried on what.
        outcome: What was chosen.
        seconds: The time that is left; without enough of it nothing is tried.
        progress: Told what is being done.
    """
    alone, items = outcome.expected, question.number_of_items
    training = alone.training_seconds if alone.shared is None else 0.0
    is_affordable = alone.items == items and training + 2 * alone.ranking_seconds <= seconds
    if found.repeated <= OFTEN_REPEATED or question.order is Order.ITEM or outcome.chosen == 0 or not is_affordable:
        return None
    started = time.perf_counter()
    some = _with_repeats(interactions, question)[: alone.people]
    first, habit = question.candidates(items)[outcome.chosen], Habit(HabitConfig(number_of_items=items))
    both = both_of(first, habit)
    progress(f"{first.name} + {habit.name}, with repeats: {len(some):,} people")
    # Trained before without what was new last: that is either what is asked for here, or known by a repeat.
    members = [alone.shared or trained(first, some, question.seed), trained(habit, some, question.seed)]
    seconds_of_training = time.perf_counter() - started
    choices = [member.choice.model_dump(mode="json") for member in both.members]
    for choice in choices:
        choice["config"].pop("number_of_items")
    return ComingBack(
        habit=try_recipe(habit, some, question.seed),
        together=try_both(both, members, some, training_seconds=seconds_of_training, seed=question.seed),
        config=json.dumps({"members": choices}),
    )


def _with_repeats(interactions: Interactions, question: Question) -> Sequence[History]:
    """The same people's histories in the same order, each item as often as it was, without the last interaction."""
    whole = zip(interactions.histories(), interactions.histories_with_repeats(), strict=True)
    known = [history.without_last(1) for new, history in whole if len(new) >= 3]
    return question_of(
        known, interactions.number_of_items, question.order, question.largest_bytes, question.seed
    ).histories
