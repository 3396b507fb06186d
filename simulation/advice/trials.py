"""A look at quality on validation items, in a time that was asked for. The test items are never seen."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Any

import numpy as np

from fedrec_recipes.recipe import History, Recipe
from simulation.advice.candidates import candidates, growth, label, overfills
from simulation.advice.pace import affordable_items, affordable_people, predicted_seconds
from simulation.advice.survey import Order
from simulation.advice.trial import Trial, preferred, try_recipe

_FIRST_STAGES = (250, 500)
_SHARE_OF_THE_CHOICE = 0.5
"""Of the time; the rest is for what was chosen, on everybody."""
_SHARE_OF_A_SOLUTION = 0.1
_SAFETY = 0.8
"""Share of the time that is left which a stage may be expected to take."""
_ENOUGH_TO_CHOOSE_BY = 1_000
"""People: with fewer, the choice gets all of the time where it does not suffice for everybody."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What the trials came to."""

    trials: list[Trial]
    """Of the candidates on the same people and items, the baseline first."""
    whole: list[Trial]
    """The baseline and the finalists on everybody and all items; empty where there was no time for it, or no need."""
    chosen: int
    """The place of what is proposed among the candidates."""
    expected: Trial
    """The best guess at the quality of what is proposed."""
    missing_seconds: float
    """What a trial of it on everybody would have taken, where there was no time for one; else 0."""

    @property
    def baseline(self) -> Trial:
        """Popularity on the same people and items as what is expected."""
        return (self.whole or self.trials)[0]

    @property
    def minutes_for_everybody(self) -> int:
        """A `--minutes` that should be enough for trials on everybody."""
        return ceil(self.missing_seconds / 60 / _SAFETY / (1 - _SHARE_OF_THE_CHOICE))


@dataclass(frozen=True)
class Question:
    """What is tried on what."""

    histories: Sequence[History]
    """Everybody's in random order, two interactions or more, without the test item; the last one validates."""
    number_of_items: int
    order: Order
    largest_bytes: int
    """Of a model or a report."""
    seed: int
    """Of training and intervals."""

    def candidates(self, number_of_items: int, people: int | None = None) -> list[Recipe[Any]]:
        """What can be proposed for the whole catalogue, for some of its items and some people, or everybody."""
        found = candidates(self.number_of_items, self.order, self.largest_bytes, people or len(self.histories))
        return [
            type(each)(each.config.model_copy(update={"number_of_items": number_of_items}))
            for each in found
            if each.name not in self._overfull
        ]

    def share_of(self, trial: Trial) -> float:
        """How much of the people and items a trial was of."""
        return trial.people / len(self.histories) * trial.items / self.number_of_items

    @cached_property
    def _overfull(self) -> frozenset[str]:
        """Recipes whose table does not hold everybody's pairs, where another serves those: without order."""
        if self.order is not Order.ITEM:
            return frozenset()
        found = candidates(self.number_of_items, self.order, self.largest_bytes)
        return frozenset(each.name for each in found if overfills(each, self.histories))


def run_trials(question: Question, *, seconds: float, progress: Progress) -> Outcome:
    """Choose among the candidates on a few people, and between the best two on everybody, as time allows.

    Two stages with a few people tell how long a last one would take, which gets as many as fit into half of the time.
    All candidates of a stage are measured on the same people. Where the machine has become slower since, a stage that
    began is given up when the time is over, and what was tried before decides.

    Args:
        question: What is tried on what.
        seconds: Time to spend; the first stage is always finished.
        progress: Told what is being done.
    """
    started = time.perf_counter()
    affordable = affordable_items(question.candidates(question.number_of_items), _SHARE_OF_A_SOLUTION * seconds)
    most_items = min(question.number_of_items, affordable or question.number_of_items)

    def left(share: float) -> float:
        return _SAFETY * (share * seconds - (time.perf_counter() - started))

    def tried(recipes: Sequence[Recipe[Any]], histories: Sequence[History]) -> list[Trial]:
        """A trial of each; none where the time was over before the last."""
        found: list[Trial] = []
        for recipe in recipes:
            if stages and left(1.0) <= 0:
                return []
            found.append(_told(question, recipe, histories, progress))
        return found

    def add_stage(people: int | None) -> None:
        if people is not None:
            kept, items = _most_popular(question.histories[:people], question.number_of_items, most_items)
            found = tried(question.candidates(items, people), kept)
            stages.extend([found] if found else [])

    most = len(question.histories)
    stages: list[list[Trial]] = []
    add_stage(min(_FIRST_STAGES[0], most))
    if _FIRST_STAGES[0] < most and 2 * sum(trial.seconds for trial in stages[0]) <= left(_SHARE_OF_THE_CHOICE):
        add_stage(min(_FIRST_STAGES[1], most))
        add_stage(affordable_people(stages[0], stages[-1], left(_SHARE_OF_THE_CHOICE), most))
    finalists, missing = _affordable_finalists(question, stages, left(1.0))
    if missing and stages[-1][0].people < _ENOUGH_TO_CHOOSE_BY:
        # Everybody takes too long, so nothing is lost by choosing with what was kept for them.
        add_stage(affordable_people(_before_last(stages), stages[-1], left(1.0), most))
    trials = stages[-1]
    recipes = question.candidates(question.number_of_items)
    whole = tried([recipes[place] for place in finalists], question.histories)
    if not whole:
        place = preferred(trials, share=question.share_of(trials[0]))
        return Outcome(trials, [], place, trials[place], seconds if finalists else missing)
    found = preferred(whole)
    return Outcome(trials, whole, finalists[found], whole[found], 0.0)


def _affordable_finalists(question: Question, stages: list[list[Trial]], left: float) -> tuple[list[int], float]:
    """The baseline and what may be proposed, to be tried on everybody: one or two, as time allows.

    Nobody, and the seconds that are missing, where one takes too long; nobody where the last stage was of everybody.
    """
    trials, before = stages[-1], _before_last(stages)
    if trials[0].people == len(question.histories) and trials[0].items == question.number_of_items:
        return [], 0.0
    first = preferred(trials, share=question.share_of(trials[0]))
    second = max(
        set(range(1, len(trials))) - {first}, key=lambda place: trials[place].metrics["ndcg@10"].mean, default=0
    )
    recipes = question.candidates(question.number_of_items)
    seconds = {
        place: (question.number_of_items / trials[place].items) ** growth(recipes[place])
        * predicted_seconds(before[place], trials[place], len(question.histories))
        for place in (first, second)
    }
    if seconds[first] > left:
        return [], seconds[first]
    return sorted({0, first, second} if sum(seconds.values()) <= left else {0, first}), 0.0


def _before_last(stages: list[list[Trial]]) -> list[Trial]:
    return stages[-2 if len(stages) > 1 else -1]


def _told(question: Question, recipe: Recipe[Any], histories: Sequence[History], progress: Progress) -> Trial:
    items = recipe.config.number_of_items
    progress(f"{label(recipe)}: {len(histories):,} people, {items:,} items")
    is_of_all = len(histories) == len(question.histories) and items == question.number_of_items
    return try_recipe(recipe, histories, question.seed, is_kept=is_of_all)


def _most_popular(histories: Sequence[History], number_of_items: int, most: int) -> tuple[list[History], int]:
    """The histories among the most popular items, renumbered, of those who still have two; and how many items."""
    if most >= number_of_items:
        return list(histories), number_of_items
    counts = np.bincount(np.concatenate([history.items for history in histories]), minlength=number_of_items)
    kept = np.sort(np.argsort(-counts, kind="stable")[:most])
    place = np.full(number_of_items, -1)
    place[kept] = np.arange(len(kept))
    narrowed = [History(place[history.items][place[history.items] >= 0]) for history in histories]
    long = [history for history in narrowed if len(history) >= 2]
    return (long, len(kept)) if long else (list(histories), number_of_items)


def question_of(
    histories: Sequence[History], number_of_items: int, order: Order, largest_bytes: int, seed: int
) -> Question:
    """The question that a data set asks: people in random order, and items too where they have none in time."""
    generator = np.random.default_rng(seed)
    if order is Order.ITEM:
        histories = [History(generator.permutation(history.items)) for history in histories]
    shuffled = [histories[person] for person in generator.permutation(len(histories))]
    return Question(shuffled, number_of_items, order, largest_bytes, seed)
