"""The task of the recipe that is to be combined with the proposed one."""

from math import ceil

from fedrec.manifests import manifest_for
from fedrec_protocol.manifest import RoundPolicy, TaskManifest
from fedrec_recipes.sasrec import Sasrec

_MOST_IN_EVERY_ROUND = 1_000
"""People of whom everybody is asked in every round; of more, some are, for what counts is the number of steps."""
_COHORT = 128
_PASSES = 25
"""Rounds in which a person takes part, on average."""
_MOST_ROUNDS = 2_000
_STEP_OF_A_COHORT = 0.0025
"""The server's step where a round is of some of the people, whose mean gradient is noisier."""


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
    rounds = ceil(_PASSES * people / goal) if is_of_some else recipe.usual_rounds
    manifest = manifest_for(recipe, name=name, rounds=policy, round_budget=rounds, seed=seed)
    if not is_of_some:
        return manifest
    params = {**manifest.aggregation.params, "learning_rate": _STEP_OF_A_COHORT}
    return manifest.model_copy(update={"aggregation": manifest.aggregation.model_copy(update={"params": params})})
