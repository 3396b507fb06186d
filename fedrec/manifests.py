"""A task manifest from a recipe: what the recipe knows, and what only the operator can say."""

from typing import Any

from fedrec_protocol.manifest import Convergence, RoundPolicy, StopCriteria, TaskManifest
from fedrec_recipes.recipe import Recipe

DEFAULT_METRICS = ("hr@10", "ndcg@10")


def manifest_for(
    recipe: Recipe[Any],
    *,
    name: str,
    rounds: RoundPolicy,
    round_budget: int,
    patience: int | None = None,
    metrics: tuple[str, ...] = DEFAULT_METRICS,
    seed: int = 0,
) -> TaskManifest:
    """The manifest of a task that trains this recipe.

    Args:
        recipe: Says what is shared and private, what a report holds, which rule suits it, how to train.
        name: Name of the task and of its model.
        rounds: When a round closes, and how many participants are asked.
        round_budget: Training rounds at most.
        patience: Stop when the last of the metrics has not improved for so many rounds; None: never.
        metrics: What participants measure.
        seed: Seed of the initial parameters and of the cohort choice.
    """
    convergence = None if patience is None else Convergence(metric=metrics[-1], patience=patience)
    return TaskManifest(
        name=name,
        model=name,
        recipe=recipe.choice,
        shared=recipe.shared,
        private=recipe.private,
        report=recipe.report_format,
        metrics=metrics,
        aggregation=recipe.aggregation,
        rounds=rounds,
        training=recipe.training,
        stop=StopCriteria(round_budget=round_budget, convergence=convergence),
        seed=seed,
    )
