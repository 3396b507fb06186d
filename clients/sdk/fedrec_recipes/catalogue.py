"""The recipes by name: the built-in ones, and those that an app registers."""

from typing import Any

from pydantic import ValidationError

from fedrec_protocol.base import reasons
from fedrec_protocol.manifest import RecipeChoice
from fedrec_recipes.als import AlternatingLeastSquares
from fedrec_recipes.autoencoder import Autoencoder
from fedrec_recipes.blend import Blend
from fedrec_recipes.bpr import BayesianPersonalisedRanking
from fedrec_recipes.combined import Combined
from fedrec_recipes.ease import Ease
from fedrec_recipes.federated_evaluation import FederatedEvaluation
from fedrec_recipes.gfcf import Gfcf
from fedrec_recipes.habit import Habit
from fedrec_recipes.hashed_pairs import HashedPairs
from fedrec_recipes.mf import MatrixFactorisation
from fedrec_recipes.multvae import MultVae
from fedrec_recipes.ncf import Ncf
from fedrec_recipes.neighbours import Neighbours
from fedrec_recipes.popularity import Popularity
from fedrec_recipes.recipe import Recipe
from fedrec_recipes.sasrec import Sasrec
from fedrec_recipes.sketched_gfcf import SketchedGfcf
from fedrec_recipes.sketched_slit import SketchedSlit
from fedrec_recipes.slit import Slit
from fedrec_recipes.two_tower import TwoTower

RecipeType = type[Recipe[Any]]


class UnknownRecipe(LookupError):
    """No recipe has this name."""


class InvalidRecipeConfig(ValueError):
    """The configuration in the manifest is not one that the recipe accepts."""


def register(recipe_type: RecipeType) -> RecipeType:
    """Make an app's own recipe known by its `name`; also a class decorator.

    Raises:
        ValueError: another class has the name.
    """
    known = _RECIPES.setdefault(recipe_type.name, recipe_type)
    if known is not recipe_type:
        raise ValueError(f"recipe {recipe_type.name!r} is already {known.__module__}.{known.__qualname__}")
    return recipe_type


def recipe_names() -> list[str]:
    """Names of all known recipes, sorted."""
    return sorted(_RECIPES)


def recipe_type(name: str) -> RecipeType:
    """The class of this name.

    Raises:
        UnknownRecipe: no recipe has it; the message lists those there are.
    """
    try:
        return _RECIPES[name]
    except KeyError:
        raise UnknownRecipe(f"unknown recipe {name!r}; known: {', '.join(recipe_names())}") from None


def recipe(choice: RecipeChoice) -> Recipe[Any]:
    """Build the recipe that a manifest chose.

    Raises:
        UnknownRecipe: no recipe has the name.
        InvalidRecipeConfig: the recipe does not accept the configuration.
    """
    chosen = recipe_type(choice.name)
    try:
        config = chosen.config_type.model_validate(choice.config)
    except ValidationError as error:
        raise InvalidRecipeConfig(f"recipe {choice.name!r}: {reasons(error)}") from error
    return chosen(config)


_RECIPES: dict[str, RecipeType] = {}

for _built_in in (
    AlternatingLeastSquares,
    Autoencoder,
    BayesianPersonalisedRanking,
    Blend,
    Combined,
    Ease,
    FederatedEvaluation,
    Gfcf,
    Habit,
    HashedPairs,
    MatrixFactorisation,
    MultVae,
    Ncf,
    Neighbours,
    Popularity,
    Sasrec,
    SketchedGfcf,
    SketchedSlit,
    Slit,
    TwoTower,
):
    register(_built_in)
