"""Recipes that are solved from sums: everybody's statistics go into one array, not into one each.

A report of whole numbers is on the fixed-point grid already, and so is one of float16, whose steps are 2**-24 at least:
the sum of the rounded reports is the rounded sum, bit for bit. A dense report of a large catalogue has megabytes; one
person's history touches a few of them. Tensors of float32 are rounded for each person.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.manifest import ReportContent, Weighting
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.tensors import DType, TensorSpec
from fedrec_recipes.statistics_recipe import StatisticsRecipe
from fedrec_sdk.evaluation import NOTHING_EVALUATED
from fedrec_sdk.trainer import RecipeTrainer
from services.aggregator.domain.layout import Layout
from services.aggregator.domain.reports import ValidReport
from simulation.contribution import evaluated
from simulation.population import Population
from simulation.work import CohortSum, Contribution, RoundWork

_FLOAT16_BITS = 24
"""Fraction bits of the smallest float16."""


def can_be_summed(trainer: RecipeTrainer, work: RoundWork) -> bool:
    """Whether the sum of a round is certain to be what the reports of these people would add up to."""
    recipe, report = trainer.recipe, work.manifest.report
    return (
        isinstance(recipe, StatisticsRecipe)
        and type(recipe).train is StatisticsRecipe.train
        and work.kind is RoundKind.TRAINING
        and report.content is ReportContent.STATISTICS
        and report.weighting is Weighting.UNIFORM
        and report.maximum_norm >= recipe.largest_norm
        and work.manifest.report_tensors == recipe.statistics
        and all(_is_on_grid(spec, work.layout) or spec.dtype is DType.F32 for spec in recipe.statistics)
    )


def add_statistics(
    population: Population, trainer: RecipeTrainer, people: Sequence[int], work: RoundWork, total: CohortSum
) -> None:
    """Add the reports of these people to `total`; who has no example reports nothing."""
    recipe, layout, metrics = trainer.recipe, work.layout, work.manifest.metrics
    if not isinstance(recipe, StatisticsRecipe):
        raise TypeError(f"recipe {recipe.name!r} is not solved from sums")
    exact = [spec for spec in recipe.statistics if _is_on_grid(spec, layout)]
    sums: dict[str, NDArray[Any]] = {
        spec.name: np.zeros(spec.shape, np.float64 if spec.dtype.is_floating else np.int64) for spec in exact
    }
    for person in people:
        history = population.histories[person]
        learnt_from = trainer.training_history(history)
        if len(learnt_from) == 0:
            continue
        rounded = {spec.name: np.zeros(spec.shape, np.float32) for spec in recipe.statistics if spec not in exact}
        recipe.add({**sums, **rounded}, work.base, learnt_from)
        evaluation = trainer.evaluate(work.base, {}, history, metrics) if metrics else NOTHING_EVALUATED
        report = ValidReport(
            {name: values.reshape(-1) for name, values in rounded.items()}, 1, evaluated(work, evaluation).metrics
        )
        total.count(person, Contribution(report, {}), layout)
    for name, values in sums.items():
        whole = values if values.dtype == np.int64 else (values * 2.0**_FLOAT16_BITS).astype(np.int64)
        shift = layout.fraction_bits - (0 if values.dtype == np.int64 else _FLOAT16_BITS)
        total.vector[layout.slices[name]] += whole.reshape(-1) << shift


def _is_on_grid(spec: TensorSpec, layout: Layout) -> bool:
    """Whether whatever a report holds in this tensor is a multiple of the round's fixed-point step."""
    return not spec.dtype.is_floating or (spec.dtype is DType.F16 and layout.fraction_bits >= _FLOAT16_BITS)
