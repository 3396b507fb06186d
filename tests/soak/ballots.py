"""Kinds of tasks in the soak, and how each one's outcomes say whose reports are in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fedrec.manifests import manifest_for
from fedrec_protocol.manifest import RecipeChoice, RoundPolicy
from fedrec_recipes.federated_evaluation import DEEPEST, RANKS, EvaluationConfig, FederatedEvaluation
from tests.integration.aggregator.deployment import Body, Task
from tests.integration.aggregator.powers import Ballot, power_of_two, powers_task

NOISE_MULTIPLIER = 1e-8
"""Nobody is protected by it, but the ledger is charged all the same, and who was counted stays legible."""
BUDGET = {"noise_multiplier": NOISE_MULTIPLIER, "budget_epsilon": 1e300, "target_delta": 1e-5}
_NOISY_BITS = 10

EVALUATION = FederatedEvaluation(
    EvaluationConfig(
        number_of_items=2,
        recipe=RecipeChoice(name="popularity", config={"number_of_items": 2}),
        cutoffs=(DEEPEST,),
        maximum_history=1,
        list_length=1,
    )
)


def private_task(*, goal: int, **rounds: Any) -> dict[str, Any]:
    """A task of powers of two with central differential privacy."""
    return powers_task(goal=goal, **rounds) | {"privacy": BUDGET}


def measuring_task(*, goal: int, **rounds: Any) -> dict[str, Any]:
    """A task that publishes no version: its sums are read."""
    policy = RoundPolicy(aggregation_goal=goal, **rounds)
    return manifest_for(EVALUATION, name="measuring", rounds=policy, round_budget=1000, metrics=()).model_dump(
        mode="json"
    )


def _above_the_noise(number: int) -> Body:
    return power_of_two(number + _NOISY_BITS)


def _require_counted_under_noise(task: Task, round_: Any, promised: set[int]) -> None:
    """Who took part is nobody's business: the mean's denominator is the goal, and the lineage says no number."""
    version = task.version(round_["published_version_id"])
    assert version["lineage"]["report_count"] is None
    after, before = (task.weights(version[name])["items"][0] for name in ("version_id", "parent_id"))
    goal = task.get()["manifest"]["rounds"]["aggregation_goal"]
    total = sum(2**number for number in promised)
    assert float(after - before) * goal / 2**_NOISY_BITS == pytest.approx(total, abs=0.4), round_


def _rank(number: int) -> Body:
    """The report of somebody whose held-out item had this rank, from 0."""
    body = {spec.name: np.zeros(spec.shape, np.int8) for spec in EVALUATION.statistics}
    body[RANKS][0, number] = 1
    return body | {"fedrec.examples": np.array([1], np.int64)}


def _require_measured(task: Task, round_: Any, promised: set[int]) -> None:
    """The mean of 1 / rank, over exactly so many people; no version."""
    assert round_["published_version_id"] is None
    assert round_["evaluated"] == len(promised), round_
    mean = sum(1 / (number + 1) for number in promised) / len(promised)
    assert round_["metrics"][f"mrr@{DEEPEST}"] == pytest.approx(mean), round_


PRIVATE = Ballot(31 - _NOISY_BITS, _above_the_noise, _require_counted_under_noise)
MEASURED = Ballot(DEEPEST, _rank, _require_measured)
