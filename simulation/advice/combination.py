"""Whether a model of the order of a whole history pays beside the recipe that is proposed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from fedrec_recipes.combined import Combined
from fedrec_recipes.recipe import History
from fedrec_recipes.sasrec import Sasrec
from simulation.advice.both import both_of, name_of, try_both
from simulation.advice.candidates import largest_transfer
from simulation.advice.second_task import sasrec_for, sasrec_to_try
from simulation.advice.survey import Order
from simulation.advice.trial import Trial, preferred, trained
from simulation.advice.trials import Outcome, Progress, Question

_TIMED_PEOPLE = 32
_SAFETY = 0.8
_FEWEST_PASSES = 8
"""Over the data, to tell anything of the second recipe."""


@dataclass(frozen=True)
class Beside:
    """A second recipe that was tried together with the proposed one."""

    recipe: Sasrec
    """What it would be: larger than what was tried, where so much data teaches it more."""
    tried: Sasrec
    together: Trial
    """Of both, with weights that people chose."""
    alone: Trial
    """Of the proposed one, on the same people and items."""
    passes: int
    """Over the data, that the second was trained for."""
    missing_seconds: float
    """How much more time all of its passes would have needed, about; 0 where it had them."""

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
    first, second = question.candidates(items)[outcome.chosen], sasrec_to_try(items, question.histories)
    proposed = sasrec_for(items, question.histories)
    if largest_transfer(both_of(first, proposed)) > question.largest_bytes:
        return None
    both = both_of(first, second)
    missing = inf
    for alone in (outcome.expected, outcome.trials[outcome.chosen]):
        if alone.items < items:
            continue
        pace = _pace(alone, second, question.histories[: alone.people])
        left = _SAFETY * (seconds - (time.perf_counter() - started))
        passes = min(int((left - pace.fixed) / pace.of_a_pass), second.central_epochs)
        needed = max((pace.fixed + second.central_epochs * pace.of_a_pass - left) / _SAFETY, 0.0)
        if passes >= _FEWEST_PASSES:
            progress(f"{name_of(both)}: {alone.people:,} people")
            return Beside(proposed, second, _tried(question, both, alone, passes), alone, passes, needed)
        missing = min(missing, needed)
    return None if missing == inf else TooLong(name_of(both), missing)


def _tried(question: Question, both: Combined, alone: Trial, passes: int) -> Trial:
    """Both on the people of a trial of the first alone, whose model serves again where it was kept."""
    started = time.perf_counter()
    histories = question.histories[: alone.people]
    first, second = both.members
    members = [
        alone.shared or trained(first, histories, question.seed),
        trained(second, histories, question.seed, epochs=passes),
    ]
    return try_both(both, members, histories, training_seconds=time.perf_counter() - started, seed=question.seed)


@dataclass(frozen=True)
class _Pace:
    """How long a trial of both takes."""

    fixed: float
    """Seconds, whatever the second is trained for."""
    of_a_pass: float
    """Seconds of each of its passes over the data."""


def _pace(alone: Trial, second: Sasrec, histories: Sequence[History]) -> _Pace:
    """The first took as long before; the second is timed on a few people."""
    some = histories[:: max(len(histories) // _TIMED_PEOPLE, 1)][:_TIMED_PEOPLE]
    started = time.perf_counter()
    second.train_central(some, np.random.default_rng(0), epochs=1)
    of_a_person = (time.perf_counter() - started) / len(some)
    training = alone.training_seconds if alone.shared is None else 0.0
    return _Pace(training + 2 * alone.ranking_seconds, of_a_person * len(histories))
