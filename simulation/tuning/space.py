"""What is searched: a recipe's own configuration and learning rate, around their defaults."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from annotated_types import Le, Lt
from pydantic import JsonValue
from pydantic.fields import FieldInfo

from fedrec_recipes.recipe import Recipe
from fedrec_recipes.statistics_recipe import StatisticsRecipe

LEARNING_RATE = "learning_rate"
"""Of the training plan; the other names are fields of the configuration."""

_FACTOR = 8.0
_SIZES = {"dimension", "hidden_size", "latent_size", "window"}
_SIZE_FACTOR = 2
_BELOW_ONE = 0.95


class Suggests(Protocol):
    """What is needed of an Optuna trial."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number from this range."""
        ...

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """A whole number from this range, both ends included."""
        ...


@dataclass(frozen=True)
class Range:
    """The values of one hyperparameter."""

    default: float
    low: float
    high: float
    is_whole: bool = False
    is_logarithmic: bool = True

    def suggest(self, trial: Suggests, name: str) -> JsonValue:
        """One value."""
        if self.is_whole:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.is_logarithmic)
        return trial.suggest_float(name, self.low, self.high, log=self.is_logarithmic)


def search_space(recipe: Recipe[Any], fixed: Mapping[str, JsonValue]) -> dict[str, Range]:
    """Every positive number of the configuration that is not fixed, and the learning rate where there is one.

    Strengths, rates and half-lives are searched over a factor of 8 to both sides of the default, sizes of tensors over
    a factor of 2, shares up to 0.95. Switches, lengths of reports and what is null by default stay as they are.
    """
    ranges = {}
    for name, info in type(recipe.config).model_fields.items():
        found = _range(name, info, getattr(recipe.config, name))
        if found is not None and name not in fixed:
            ranges[name] = found
    if not isinstance(recipe, StatisticsRecipe):
        rate = recipe.training.learning_rate
        ranges[LEARNING_RATE] = Range(rate, rate / _FACTOR, rate * _FACTOR)
    return ranges


def _range(name: str, info: FieldInfo, default: object) -> Range | None:
    if name in _SIZES and isinstance(default, int):
        return Range(default, max(default // _SIZE_FACTOR, 1), default * _SIZE_FACTOR, is_whole=True)
    if not isinstance(default, float):
        return None
    if any(_is_share(limit) for limit in info.metadata):
        return Range(default, 0.0, _BELOW_ONE, is_logarithmic=False)
    return Range(default, default / _FACTOR, default * _FACTOR) if default > 0 else None


def _is_share(limit: object) -> bool:
    return (isinstance(limit, Le) and limit.le == 1) or (isinstance(limit, Lt) and limit.lt == 1)
