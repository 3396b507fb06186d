"""What every recipe promises, whatever it is."""

from typing import Any

import numpy as np
import pytest

from fedrec_protocol.manifest import RoundPolicy, StopCriteria, TaskManifest, Weighting
from fedrec_recipes.catalogue import recipe_names
from fedrec_recipes.recipe import History, Recipe
from fedrec_recipes.statistics_recipe import StatisticsRecipe
from tests.unit.recipes.data import people_with_taste
from tests.unit.recipes.federate import first_version
from tests.unit.recipes.needed import recipe_of

NAMES = recipe_names()
HISTORY = people_with_taste()[0]


def of(name: str) -> Recipe[Any]:
    return recipe_of(name, 60)


def manifest_of(chosen: Recipe[Any]) -> TaskManifest:
    return TaskManifest(
        name="task",
        model="model",
        recipe=chosen.choice,
        shared=chosen.shared,
        private=chosen.private,
        report=chosen.report_format,
        aggregation=chosen.aggregation,
        training=chosen.training,
        rounds=RoundPolicy(aggregation_goal=10_000),
        stop=StopCriteria(round_budget=1),
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_task_of_ten_thousand_reports_accepts_the_recipes_bounds(name: str) -> None:
    assert manifest_of(of(name)).fraction_bits >= 24


@pytest.mark.parametrize("name", NAMES)
def test_a_report_is_what_the_manifest_says(name: str) -> None:
    chosen = of(name)
    manifest = manifest_of(chosen)
    result = chosen.train(first_version(chosen), {}, HISTORY, chosen.training, np.random.default_rng(0))
    got = [(tensor, value.shape, value.dtype) for tensor, value in result.report.items()]
    assert got == [(spec.name, spec.shape, spec.dtype.numpy) for spec in manifest.report_tensors]
    norm = sum(float((value.astype(np.float64) ** 2).sum()) for value in result.report.values()) ** 0.5
    assert np.isfinite(norm)
    assert norm <= manifest.report.maximum_norm
    assert result.examples >= 1
    if manifest.report.weighting is Weighting.EXAMPLES:
        assert result.examples <= manifest.report.maximum_examples
    assert all(manifest.is_private(tensor) for tensor in result.private)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [0, 1, 12])
def test_every_item_gets_a_finite_score_however_short_the_history(name: str, length: int) -> None:
    chosen = of(name)
    scores = chosen.score(first_version(chosen), {}, History(HISTORY.items[:length]))
    assert scores.shape == (60,)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", NAMES)
def test_what_tells_items_apart_has_a_row_for_each(name: str) -> None:
    chosen = of(name)
    vectors = chosen.item_vectors(first_version(chosen))
    assert (vectors is None) == (name in {"popularity", "habit", "evaluation"})
    assert vectors is None or vectors.shape[0] == 60


@pytest.mark.parametrize("name", NAMES)
def test_training_is_repeatable_bit_for_bit(name: str) -> None:
    chosen = of(name)
    shared = first_version(chosen)
    reports = [chosen.train(shared, {}, HISTORY, chosen.training, np.random.default_rng(9)).report for _ in range(2)]
    for tensor in reports[0]:
        np.testing.assert_array_equal(reports[0][tensor], reports[1][tensor])


@pytest.mark.parametrize("name", NAMES)
def test_sums_that_do_not_depend_on_the_model_need_one_round(name: str) -> None:
    chosen = of(name)
    bases = ({spec.name: np.full(spec.shape, fill, np.float32) for spec in chosen.shared} for fill in (0, 1))
    reports = [chosen.train(base, {}, HISTORY, chosen.training, np.random.default_rng(0)).report for base in bases]
    is_independent = all(np.array_equal(reports[0][name], reports[1][name]) for name in reports[0])
    is_solved_at_once = isinstance(chosen, StatisticsRecipe) and is_independent
    assert (chosen.usual_rounds == 1) == is_solved_at_once
