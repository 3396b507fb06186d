"""The vectorised trainers, by the recipe that they stand in for."""

from collections.abc import Callable
from typing import Any

from fedrec_recipes.bpr import BayesianPersonalisedRanking
from fedrec_recipes.mf import MatrixFactorisation
from fedrec_recipes.recipe import Recipe
from simulation.vectorised.bpr import VectorisedBpr
from simulation.vectorised.mf import VectorisedMatrixFactorisation
from simulation.vectorised.trainer import VectorisedTrainer

_VECTORISED: dict[type[Recipe[Any]], Callable[[Any], VectorisedTrainer]] = {
    BayesianPersonalisedRanking: VectorisedBpr,
    MatrixFactorisation: VectorisedMatrixFactorisation,
}


def vectorised(recipe: Recipe[Any]) -> VectorisedTrainer | None:
    """The vectorised trainer of a recipe; None when there is none.

    A subclass of a recipe does not inherit one: it may train differently.
    """
    if isinstance(recipe, VectorisedTrainer):
        return recipe
    make = _VECTORISED.get(type(recipe))
    return None if make is None else make(recipe)
