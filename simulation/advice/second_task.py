"""The task of the recipe that is to be combined with the proposed one."""

from collections.abc import Sequence
from math import ceil

from pydantic import JsonValue

from fedrec.manifests import manifest_for
from fedrec_protocol.manifest import RoundPolicy, TaskManifest
from fedrec_recipes.recipe import History
from fedrec_recipes.sasrec import Sasrec, SasrecConfig

_MANY_ITEMS = 5_000
"""Beyond, a sample of the items competes with the next one: it takes less time."""
_NEGATIVES = 512
_MUCH_DATA = 500_000
"""Interactions that teach a large model more than a small one."""
_LONG_HISTORY = 50
"""Items of a person, on average, from which a window of more is worth its time."""
_MOST_ITEMS_OF_A_LARGE_ONE = 10_000
_MOST_PEOPLE_OF_A_LARGE_ONE = 20_000
"""More of them would take a simulation hours."""
_MOST_IN_EVERY_ROUND = 1_000
"""People of whom everybody is asked in every round; of more, some are, for what counts is the number of steps."""
_COHORT = 128
_PASSES = 25
"""Rounds in which a person takes part, on average."""
_FEWEST_ROUNDS = 800
"""Of a cohort: steps that it takes however few people there are."""
_MOST_ROUNDS = 2_000
_STEP_OF_A_COHORT = 0.0025
"""The server's step where a round is of some of the people, whose mean gradient is noisier."""


def sasrec_to_try(number_of_items: int, histories: Sequence[History]) -> Sasrec:
    """The second recipe in the size that is tried: with much data a longer window, for hardly more time."""
    if _is_much(number_of_items, histories):
        return _sasrec(number_of_items, dimension=64, window=200, negatives=_NEGATIVES)
    return _sasrec(number_of_items, negatives=_NEGATIVES if number_of_items > _MANY_ITEMS else None)


def sasrec_for(number_of_items: int, histories: Sequence[History]) -> Sasrec:
    """The second recipe in the size that is proposed.

    The large one takes three times as long. It was better on the million interactions of MovieLens 1M, with 166 items a
    person; a larger one than usual was no better on the tenth of them that MovieLens 100K has (docs/measurements.md).
    """
    if _is_much(number_of_items, histories) and len(histories) <= _MOST_PEOPLE_OF_A_LARGE_ONE:
        return _sasrec(number_of_items, dimension=128, blocks=2, window=200, negatives=_NEGATIVES, dropout=0.2)
    return sasrec_to_try(number_of_items, histories)


def _is_much(number_of_items: int, histories: Sequence[History]) -> bool:
    """Whether there is so much data that it teaches a larger model more."""
    interactions = sum(map(len, histories))
    is_long = interactions >= _LONG_HISTORY * len(histories)
    return interactions >= _MUCH_DATA and is_long and number_of_items <= _MOST_ITEMS_OF_A_LARGE_ONE


def _sasrec(number_of_items: int, **config: JsonValue) -> Sasrec:
    return Sasrec(SasrecConfig.model_validate({"number_of_items": number_of_items, **config}))


def second_task(recipe: Sasrec, *, name: str, people: int, seed: int, deadline_seconds: float) -> TaskManifest:
    """Everybody for the usual rounds where people are few; else so few that there are many rounds.

    Args:
        recipe: What to train.
        name: Of the task and of its model.
        people: Who can take part.
        seed: Of the task.
        deadline_seconds: Of a round.
    """
    is_of_some = people > _MOST_IN_EVERY_ROUND
    goal = max(_COHORT, ceil(_PASSES * people / _MOST_ROUNDS)) if is_of_some else people
    policy = RoundPolicy(aggregation_goal=goal, minimum_reports=max(goal // 2, 1), deadline_seconds=deadline_seconds)
    rounds = max(ceil(_PASSES * people / goal), _FEWEST_ROUNDS) if is_of_some else recipe.usual_rounds
    manifest = manifest_for(recipe, name=name, rounds=policy, round_budget=rounds, seed=seed)
    if not is_of_some:
        return manifest
    params = {**manifest.aggregation.params, "learning_rate": _STEP_OF_A_COHORT}
    return manifest.model_copy(update={"aggregation": manifest.aggregation.model_copy(update={"params": params})})
