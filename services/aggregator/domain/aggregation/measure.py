"""Sums that are read: a round that measures the base version and changes nothing."""

from typing import Any, ClassVar, Self

from pydantic import model_validator

from fedrec_protocol.manifest import RecipeChoice, TaskManifest
from fedrec_protocol.tensors import Tensors
from fedrec_recipes import catalogue
from fedrec_recipes.measuring_recipe import MeasuringRecipe
from services.aggregator.domain.aggregation.rule import RoundSum, Rule, RuleParams, Step
from services.aggregator.domain.aggregation.solve import check_tensors


class MeasureParams(RuleParams):
    """Which recipe reads the sums, and with what configuration."""

    recipe: RecipeChoice
    """A measuring recipe: `evaluation`."""

    @model_validator(mode="after")
    def _measuring(self) -> Self:
        try:
            measuring_recipe(self.recipe)
        except (catalogue.UnknownRecipe, catalogue.InvalidRecipeConfig) as error:
            raise ValueError(str(error)) from error
        return self


class Measure(Rule[MeasureParams]):
    """The recipe's `measure` of the sums becomes the round's metrics; no version is published."""

    name: ClassVar[str] = "measure"
    params_type = MeasureParams

    def step(self, base: Tensors, total: RoundSum, state: Tensors, params: MeasureParams) -> Step:
        """No parameters, and what was measured."""
        measured = measuring_recipe(params.recipe).measure(total.totals)
        return Step(None, state={}, metrics=measured.metrics, evaluated=measured.evaluated)

    def check(self, manifest: TaskManifest, params: MeasureParams) -> None:
        """Refuse tensors that are not the recipe's."""
        check_tensors(manifest, measuring_recipe(params.recipe))


def measuring_recipe(choice: RecipeChoice) -> MeasuringRecipe[Any]:
    """The recipe that reads sums.

    Raises:
        UnknownRecipe, InvalidRecipeConfig: there is none such.
    """
    recipe = catalogue.recipe(choice)
    if not isinstance(recipe, MeasuringRecipe):
        raise catalogue.InvalidRecipeConfig(f"recipe {choice.name!r} does not measure")
    return recipe
