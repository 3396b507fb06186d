"""Recipes that are solved from integer sums: everybody's statistics go into one array, not into one each.

A report of whole numbers is on the fixed-point grid already, so the sum of the rounded reports is the rounded sum,
bit for bit. A dense report of a large catalogue has megabytes; one person's history touches a few of them.
"""

from collections.abc import Sequence

import numpy as np

from fedrec_protocol.manifest import ReportContent, Weighting
from fedrec_protocol.messages import RoundKind
from fedrec_recipes.statistics_recipe import StatisticsRecipe
from fedrec_sdk.evaluation import NOTHING_EVALUATED
from fedrec_sdk.trainer import RecipeTrainer
from services.aggregator.domain.reports import ValidReport
from simulation.contribution import evaluated
from simulation.population import Population
from simulation.work import CohortSum, Contribution, RoundWork


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
        and not any(spec.dtype.is_floating for spec in recipe.statistics)
    )


def add_statistics(
    population: Population, trainer: RecipeTrainer, people: Sequence[int], work: RoundWork, total: CohortSum
) -> None:
    """Add the reports of these people to `total`; who has no example reports nothing."""
    recipe, layout, metrics = trainer.recipe, work.layout, work.manifest.metrics
    if not isinstance(recipe, StatisticsRecipe):
        raise TypeError(f"recipe {recipe.name!r} is not solved from sums")
    sums = {spec.name: np.zeros(spec.shape, np.int64) for spec in recipe.statistics}
    for person in people:
        history = population.histories[person]
        learnt_from = trainer.training_history(history)
        if len(learnt_from) == 0:
            continue
        recipe.add(sums, work.base, learnt_from)
        evaluation = trainer.evaluate(work.base, {}, history, metrics) if metrics else NOTHING_EVALUATED
        without_tensors = ValidReport({}, 1, evaluated(work, evaluation).metrics)
        total.count(person, Contribution(without_tensors, {}), layout)
    for name, values in sums.items():
        total.vector[layout.slices[name]] += values.reshape(-1) << layout.fraction_bits
