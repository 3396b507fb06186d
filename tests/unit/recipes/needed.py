"""What a recipe cannot do without, beside the number of items."""

from typing import Any

from fedrec_protocol.manifest import RecipeChoice
from fedrec_recipes.catalogue import recipe
from fedrec_recipes.recipe import Recipe

_NEEDED: dict[str, Any] = {
    "evaluation": lambda items: {"recipe": {"name": "popularity", "config": {"number_of_items": items}}},
    "combined": lambda _: {"members": [{"name": "popularity"}, {"name": "mf"}]},
}


def recipe_of(name: str, number_of_items: int) -> Recipe[Any]:
    """A recipe with the defaults."""
    needed = _NEEDED[name](number_of_items) if name in _NEEDED else {}
    return recipe(RecipeChoice(name=name, config={"number_of_items": number_of_items, **needed}))
