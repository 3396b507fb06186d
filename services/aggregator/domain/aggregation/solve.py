"""Models that are solved from sums: the recipe's own closed form."""

from typing import Any, ClassVar, Self

from pydantic import model_validator

from fedrec_protocol.manifest import RecipeChoice, TaskManifest
from fedrec_protocol.tensors import Tensors, TensorSpec
from fedrec_recipes import catalogue
from fedrec_recipes.statistics_recipe import StatisticsRecipe
from services.aggregator.domain.aggregation.rule import RoundSum, Rule, RuleParams, Step
from services.aggregator.domain.errors import InvalidManifest


class SolveParams(RuleParams):
    """Which recipe solves, and with what configuration."""

    recipe: RecipeChoice
    """A statistics recipe: `ease`, `slit`, ..."""

    @model_validator(mode="after")
    def _solvable(self) -> Self:
        try:
            statistics_recipe(self.recipe)
        except (catalogue.UnknownRecipe, catalogue.InvalidRecipeConfig) as error:
            raise ValueError(str(error)) from error
        return self


class Solve(Rule[SolveParams]):
    """The recipe's `solve` of the sums: the very function that central training calls on its own sums."""

    name: ClassVar[str] = "solve"
    params_type = SolveParams

    def step(self, base: Tensors, total: RoundSum, state: Tensors, params: SolveParams) -> Step:
        """The shared tensors that follow from the sums."""
        return Step(statistics_recipe(params.recipe).solve(base, total.totals), state={})

    def check(self, manifest: TaskManifest, params: SolveParams) -> None:
        """Refuse tensors that are not the recipe's."""
        check_tensors(manifest, statistics_recipe(params.recipe))


def statistics_recipe(choice: RecipeChoice) -> StatisticsRecipe[Any]:
    """The recipe that is solved from sums.

    Raises:
        UnknownRecipe, InvalidRecipeConfig: there is none such.
    """
    recipe = catalogue.recipe(choice)
    if not isinstance(recipe, StatisticsRecipe):
        raise catalogue.InvalidRecipeConfig(f"recipe {choice.name!r} is not solved from sums")
    return recipe


def check_tensors(manifest: TaskManifest, recipe: StatisticsRecipe[Any]) -> None:
    """Refuse a manifest whose tensors are not the recipe's.

    Raises:
        InvalidManifest: saying which.
    """
    if _shapes(manifest.shared) != _shapes(recipe.shared):
        raise InvalidManifest(f"the shared tensors are not those of recipe {recipe.name!r}")
    if _shapes(manifest.report_tensors) != _shapes(recipe.statistics):
        raise InvalidManifest(f"the report's tensors are not the statistics of recipe {recipe.name!r}")


def _shapes(specs: tuple[TensorSpec, ...]) -> list[tuple[str, tuple[int, ...]]]:
    return [(spec.name, spec.shape) for spec in specs]
