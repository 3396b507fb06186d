"""Small tasks and people for tests of the simulator."""

from typing import Any

from fedrec.manifests import manifest_for
from fedrec_protocol.manifest import RoundPolicy, TaskManifest
from fedrec_recipes.mf import MatrixFactorisation, MatrixFactorisationConfig
from fedrec_recipes.recipe import Recipe

ITEMS = 60


def small_mf(items: int = ITEMS) -> MatrixFactorisation:
    """A matrix factorisation of a small catalogue."""
    return MatrixFactorisation(MatrixFactorisationConfig(number_of_items=items, dimension=5))


def manifest_of(
    recipe: Recipe[Any], *, goal: int, rounds: int = 3, metrics: tuple[str, ...] = ("hr@10",), **policy: Any
) -> TaskManifest:
    """A task in which `goal` reports close a round."""
    return manifest_for(
        recipe,
        name="small",
        rounds=RoundPolicy(aggregation_goal=goal, **policy),
        round_budget=rounds,
        metrics=metrics,
        seed=7,
    )
