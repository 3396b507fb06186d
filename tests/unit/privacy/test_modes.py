"""Every combination of a way to protect reports and a recipe either runs, or is refused before it is a task.

The table is the one in docs/privacy.md.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import RoundState
from fedrec_protocol.report_format import ReportContent
from fedrec_protocol.tensors import Tensors
from fedrec_recipes import catalogue
from fedrec_recipes.recipe import Recipe
from services.aggregator.domain.errors import InvalidManifest
from services.aggregator.domain.runnable import check_runnable
from simulation.population import Population
from simulation.simulation import Simulation
from tests.unit.recipes.data import people_with_taste
from tests.unit.recipes.needed import recipe_of
from tests.unit.simulation.tasks import manifest_of

PEOPLE, ITEMS, NORM = 20, 40, 4000.0
BUDGET = {"budget_epsilon": 1e9, "target_delta": 1e-5}
CENTRAL: dict[str, Any] = {"noise_multiplier": 1.0, **BUDGET}
MASKS = {"modulus_bits": 48, "value_bits": 40, "minimum_cohort": 5}
SEPARATED = {"minimum_separation": 2}
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "noise_schedule": {"privacy": CENTRAL | {"noise_schedule": [4.0]}},
    "central": {"privacy": CENTRAL},
    "clipping": {"privacy": CENTRAL | {"clipping": {"initial_norm": 0.5, "count_noise": 4.0}}},
    "correlated": {"privacy": CENTRAL | {"correlated": {"bands": 2}}, "rounds": SEPARATED},
    "sampling": {"privacy": CENTRAL | {"sampling": {"probability": 0.5}}},
    "distributed": {"privacy": BUDGET | {"mechanism": "distributed", "noise_multiplier": 1.0, "colluding_share": 0.1}},
    "local": {"privacy": BUDGET | {"mechanism": "local", "noise_multiplier": 1.0}},
}
RULES = ("fedavg", "fedavgm", "fedadagrad", "fedadam", "fedyogi")
COLUMNS = [("updates", False), ("updates", True), ("statistics", False), ("statistics", True)]


@cache
def recipe(name: str) -> Recipe[Any]:
    return recipe_of(name, ITEMS)


def task(name: str, way: str, *, masked: bool, rule: str | None = None, **changes: Any) -> TaskManifest:
    """The task; raises what a service would answer 422 to."""
    goal = PEOPLE // 2 if way == "sampling" else PEOPLE
    content = manifest_of(recipe(name), goal=goal, rounds=1, metrics=()).model_dump()
    content["report"] |= {"weighting": "uniform", "maximum_norm": NORM}
    content["rounds"] |= WAYS[way].get("rounds", {})
    if "privacy" in WAYS[way]:
        content["privacy"] = WAYS[way]["privacy"] | changes
    if masked:
        bits = {"value_bits": 20} if way == "distributed" else {}
        content["secure_aggregation"] = MASKS | bits
    if rule is not None:
        content["aggregation"] = {"rule": rule}
    manifest = TaskManifest.model_validate(content)
    check_runnable(manifest)
    return manifest


def one_round(manifest: TaskManifest) -> tuple[Tensors, float | None]:
    """The version after one round, and what it cost."""
    population = Population.of_recipe(
        catalogue.recipe(manifest.recipe), people_with_taste(PEOPLE, ITEMS, length=6), seed=1
    )
    simulation = Simulation(manifest, population, base=initial_parameters(manifest.shared, manifest.seed))
    record = next(simulation.run())
    assert record.state is RoundState.PUBLISHED
    return simulation.parameters, record.epsilon


def documented() -> dict[str, list[str]]:
    """The table: for each way, what becomes of it in each column."""
    page = (Path(__file__).parents[3] / "docs" / "privacy.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("| way: ")]
    return {cells[0].strip()[len("way: ") :].strip("`"): [cell.strip() for cell in cells[1:]] for cells in rows}


def test_the_page_has_a_row_for_every_way() -> None:
    assert documented().keys() == WAYS.keys()


def differs(one: Tensors, other: Tensors) -> bool:
    return any((one[name] != other[name]).any() for name in one)


@pytest.mark.parametrize("name", catalogue.recipe_names())
def test_every_way_runs_or_is_refused_as_the_page_says(name: str) -> None:
    is_statistics = recipe(name).report_format.content is ReportContent.STATISTICS
    plain, _ = one_round(task(name, "plain", masked=False))
    for way, cells in documented().items():
        for (kind, masked), cell in zip(COLUMNS, cells, strict=True):
            if (kind == "statistics") is not is_statistics:
                continue
            if cell != "runs":
                with pytest.raises((ValidationError, InvalidManifest), match=cell.removeprefix("refused: ")):
                    task(name, way, masked=masked)
                continue
            released, epsilon = one_round(task(name, way, masked=masked))
            assert all(np.isfinite(values).all() for values in released.values())
            # No way is quietly left out: noise is there, and paid for, exactly where it is promised.
            assert (epsilon is not None and epsilon > 0) is (way != "plain")
            if way != "plain" and name not in {"evaluation", "combined"}:  # which keep the parameters as they are
                assert differs(released, plain), way


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("way", ["central", "clipping", "correlated", "sampling", "distributed", "local"])
def test_rules_work_on_what_was_released_so_each_goes_with_every_way(way: str, rule: str) -> None:
    masked = way == "distributed"
    _, alone = one_round(task("mf", way, masked=masked))
    released, epsilon = one_round(task("mf", way, masked=masked, rule=rule))
    assert all(np.isfinite(values).all() for values in released.values())
    assert epsilon == alone  # what becomes of a noisy sum costs nothing more


def test_rules_that_solve_sums_refuse_updates() -> None:
    with pytest.raises(InvalidManifest):
        task("mf", "plain", masked=False, rule="solve")


@pytest.mark.parametrize(
    ("way", "masked", "changes", "reason"),
    [
        ("central", True, {"noise_multiplier": 1e-11}, "grid steps; at least 50"),
        ("noise_schedule", True, {"noise_schedule": [1e-11]}, "grid steps; at least 50"),
        ("clipping", True, {"noise_multiplier": 5e-8}, "grid steps; at least 50"),  # only once the norm has fallen
        ("clipping", False, {"clipping": {"initial_norm": 0.5, "count_noise": 1e-5}}, "grid steps; at least 50"),
        ("clipping", False, {"clipping": {"initial_norm": 0.5, "count_noise": 1e7}}, "at most 2.40"),
        ("local", False, {"noise_multiplier": 1e-14}, "grid steps; at least 50"),
    ],
)
def test_noise_that_no_round_could_draw_is_refused_before_the_first(
    way: str, masked: bool, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises((ValidationError, InvalidManifest), match=reason):
        task("mf", way, masked=masked, **changes)


def test_metrics_with_noise_that_cannot_be_drawn_are_refused() -> None:
    content = task("mf", "central", masked=False).model_dump()
    content["metrics"], content["report"]["maximum_evaluations"] = ["hr@10"], 2**20
    content["privacy"]["metrics_noise_multiplier"] = 2.0
    with pytest.raises(InvalidManifest, match="maximum_evaluations"):
        check_runnable(TaskManifest.model_validate(content))
