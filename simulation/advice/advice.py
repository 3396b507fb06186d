"""`fedrec recommend-config` from data to a manifest."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from fedrec.data.interactions import DataError, Interactions
from fedrec.data.opening import read_interactions
from fedrec.manifests import manifest_for
from fedrec.masks import with_masks
from fedrec.private_recommender import private_recommender
from fedrec.refused import Refused
from fedrec_protocol.manifest import RoundPolicy, TaskManifest
from fedrec_protocol.round_policy import LARGEST_COHORT
from fedrec_protocol.secagg.descriptor import HARD_FLOOR
from fedrec_recipes.recipe import Recipe
from fedrec_recipes.statistics_recipe import StatisticsConfig
from services.aggregator.domain.errors import InvalidManifest
from services.aggregator.domain.runnable import check_runnable
from simulation.advice.candidates import Cost, cost_of
from simulation.advice.combination import Beside, beside
from simulation.advice.coming_back import coming_back
from simulation.advice.private_trial import private_trial
from simulation.advice.remarks import (
    remarks_on_both,
    remarks_on_items,
    remarks_on_privacy,
    remarks_on_repeats,
    remarks_on_trials,
)
from simulation.advice.second_task import second_task
from simulation.advice.survey import Survey, survey
from simulation.advice.trial import Trial
from simulation.advice.trials import Progress, question_of, run_trials
from simulation.advice.wishes import Privacy, Wishes

_ROUND_SECONDS = 86_400.0
_SMALLEST_SHARE = 0.5
_SHORTEST_BOUND = 50
"""Interactions that a report holds at least before people are left out instead."""


@dataclass(frozen=True)
class Advice:
    """A task to run, and what it rests on."""

    reading: tuple[str, ...]
    """What of the data was taken for what, a sentence each."""
    survey: Survey
    trials: list[Trial]
    """On validation items of the same people, the baseline first."""
    whole: list[Trial]
    """Of the baseline and the best on everybody and all items; empty where there was no time for it, or no need."""
    expected: Trial
    """What to expect of the proposed task on validation items; with `dp` it is its own simulation, with its noise."""
    baseline: Trial
    """Popularity beside it, on the same people and items, without noise."""
    manifest: TaskManifest
    cost: Cost
    masked_bytes_up: int | None
    """Upload with secure aggregation; None where the people are too few, or the sum does not fit."""
    beside: Beside | None
    """What it is together with another recipe; None where there was no time to see, or none that suits."""
    second: TaskManifest | None
    """The task of that recipe, to be combined with the first; None where that does not pay."""
    remarks: list[str]
    """What to know before relying on it, a sentence each."""


def advise(wishes: Wishes, progress: Progress) -> Advice:
    """Look at the data, try what suits it, and write the task.

    Raises:
        DataError: the data cannot be read, or nobody has three items.
        Refused: privacy was asked for that so few people cannot give each other.
    """
    return advise_on(read_interactions(wishes.data, wishes.columns), wishes, progress)


def advise_on(interactions: Interactions, wishes: Wishes, progress: Progress) -> Advice:
    """The same, on interactions that were read before."""
    interactions = interactions.with_item_support(wishes.minimum_support)
    histories = interactions.histories()
    found = survey(interactions, histories)
    if not found.people:
        raise DataError(
            f"{wishes.data}: nobody has three different items, so that nothing can be held out to measure by. "
            + " ".join(interactions.remarks)
        )
    known = [history.without_last(1) for history in histories if len(history) >= 3]
    question = question_of(known, found.items, found.order, wishes.largest_bytes, wishes.seed)
    started = time.perf_counter()
    outcome = run_trials(question, seconds=wishes.seconds, progress=progress)
    plain = task_for(wishes, question.candidates(found.items)[outcome.chosen], found)
    masked = _masked(plain)
    manifest = _protected(wishes, found, plain, masked)
    with_noise = tried = again = None
    if manifest.privacy is not None:
        with_noise = private_trial(manifest, known, seed=wishes.seed, progress=progress)
    else:
        left = wishes.seconds - (time.perf_counter() - started)
        tried = beside(question, outcome, seconds=left, progress=progress)
        left = wishes.seconds - (time.perf_counter() - started)
        again = coming_back(interactions, found, question, outcome, seconds=left, progress=progress)
    found_beside = tried if isinstance(tried, Beside) else None
    return Advice(
        reading=interactions.remarks,
        survey=found,
        trials=outcome.trials,
        whole=outcome.whole,
        expected=with_noise or outcome.expected,
        baseline=outcome.baseline,
        manifest=manifest,
        cost=cost_of(manifest),
        masked_bytes_up=None if masked is None else cost_of(masked).bytes_up,
        beside=found_beside,
        second=_second(wishes, found, found_beside),
        remarks=[
            *remarks_on_items(interactions),
            *remarks_on_repeats(found, again),
            *remarks_on_trials(found, outcome),
            *remarks_on_both(wishes, tried),
            *remarks_on_privacy(wishes, outcome, with_noise),
        ],
    )


def task_for(wishes: Wishes, recipe: Recipe[Any], found: Survey) -> TaskManifest:
    """The first of the alternatives whose sums the fixed-point grid has room for."""
    refusal: ValidationError | None = None
    for bounded, goal in _alternatives(recipe, found):
        policy = RoundPolicy(
            aggregation_goal=goal,
            minimum_reports=max(int(_SMALLEST_SHARE * goal), 1),
            deadline_seconds=_ROUND_SECONDS,
        )
        try:
            return manifest_for(
                bounded, name=wishes.name, rounds=policy, round_budget=recipe.usual_rounds, seed=wishes.seed
            )
        except ValidationError as error:
            refusal = refusal or error
    raise refusal or Refused(f"recipe {recipe.name!r} suits no cohort")


def _alternatives(recipe: Recipe[Any], found: Survey) -> Iterator[tuple[Recipe[Any], int]]:
    """Everybody, or as many as fit; then with only the newest of the longest histories; then fewer people."""
    people = min(found.people, LARGEST_COHORT)
    yield recipe, people
    if isinstance(recipe.config, StatisticsConfig):
        bound = min(found.longest_history, recipe.config.maximum_history)
        while bound >= max(found.median_history, _SHORTEST_BOUND):
            recipe = type(recipe)(recipe.config.model_copy(update={"maximum_history": bound}))
            yield recipe, people
            bound //= 2
    goal = people // 2
    while goal:
        yield recipe, goal
        goal //= 2


def _second(wishes: Wishes, found: Survey, tried: Beside | None) -> TaskManifest | None:
    """The second task where it pays, protected as the first; None where that is not possible."""
    if tried is None or not tried.pays:
        return None
    name = f"{wishes.name}-{tried.recipe.name}"
    plain = second_task(tried.recipe, name=name, people=found.people, seed=wishes.seed, deadline_seconds=_ROUND_SECONDS)
    return _masked(plain) if wishes.privacy is Privacy.SECAGG else plain


def _masked(manifest: TaskManifest) -> TaskManifest | None:
    if manifest.rounds.cohort_size < HARD_FLOOR:
        return None
    try:
        masked = with_masks(manifest)
        check_runnable(masked)
    except (ValueError, InvalidManifest):
        return None
    return masked


def _protected(wishes: Wishes, found: Survey, plain: TaskManifest, masked: TaskManifest | None) -> TaskManifest:
    if wishes.privacy is Privacy.SECAGG:
        if masked is None:
            raise Refused(f"{found.people} people, or the sum of {plain.recipe.name}, do not allow secure aggregation")
        return masked
    if wishes.privacy is Privacy.DP:
        return private_recommender(
            name=wishes.name,
            number_of_items=found.items,
            people=plain.rounds.aggregation_goal,
            epsilon=wishes.epsilon,
            target_delta=0.1 / found.people,
            seed=wishes.seed,
        )
    return plain
