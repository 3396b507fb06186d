"""Recipes by name."""

import subprocess
import sys

import pytest

from fedrec_protocol.manifest import RecipeChoice
from fedrec_recipes.catalogue import InvalidRecipeConfig, UnknownRecipe, recipe, recipe_names, recipe_type, register
from fedrec_recipes.mf import MatrixFactorisation
from tests.unit.recipes.needed import recipe_of


def test_a_manifest_names_its_recipe_and_its_configuration() -> None:
    chosen = recipe(RecipeChoice(name="mf", config={"number_of_items": 7, "dimension": 3}))
    assert isinstance(chosen, MatrixFactorisation)
    assert chosen.config.dimension == 3


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_survives_the_way_through_a_manifest(name: str) -> None:
    first = recipe_of(name, 7)
    again = recipe(RecipeChoice.model_validate_json(first.choice.model_dump_json()))
    assert again.config == first.config
    assert again.shared == first.shared


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownRecipe, match=r"'word2vec'.*ease.*mf"):
        recipe(RecipeChoice(name="word2vec"))


@pytest.mark.parametrize("items", [0, -3])
@pytest.mark.parametrize("name", recipe_names())
def test_a_catalogue_without_items_is_refused_in_words(name: str, items: int) -> None:
    with pytest.raises(InvalidRecipeConfig, match="number_of_items"):
        recipe_of(name, items)


def test_a_misspelt_option_is_refused() -> None:
    with pytest.raises(InvalidRecipeConfig, match="dimensions"):
        recipe(RecipeChoice(name="mf", config={"number_of_items": 7, "dimensions": 3}))


def test_a_name_is_taken_by_its_first_recipe() -> None:
    class Other(MatrixFactorisation):
        name = "mf"

    with pytest.raises(ValueError, match="already"):
        register(Other)
    assert register(MatrixFactorisation) is recipe_type("mf")


def test_importing_the_recipes_does_not_import_torch() -> None:
    code = "import fedrec_recipes.catalogue, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=280).returncode == 0
