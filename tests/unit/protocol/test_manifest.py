"""Manifests: what can never work is refused when the task is created."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from pydantic import ValidationError

from fedrec_protocol.manifest import METRICS_TENSOR, TaskManifest
from tests.unit.aggregator.manifests import content, manifest

ENCRYPTION = {"key_fingerprint": "0" * 64}
SILOS = {"aggregation_goal": 4, "minimum_reports": 3}
MASKS = {"minimum_cohort": 5}
LONG_NAMES = [{"name": f"{'layer' * 20}.{number}"} for number in range(600)]

REFUSED: dict[str, dict[str, Any]] = {
    "a misspelt field": {"agregation": {}},
    "no shared tensor": {"shared": []},
    "a tensor twice": {"shared": [{"name": "a"}, {"name": "a"}]},
    "a reserved name": {"shared": [{"name": "fedrec.examples"}]},
    "a name that is a path": {"shared": [{"name": "../a"}]},
    "a zero-sized tensor": {"shared": [{"name": "a", "shape": [0, 4]}]},
    "a tensor both shared and private": {"shared": [{"name": "user_vector"}]},
    "a report of other names": {"report": {"tensors": [{"name": "a", "shape": [2, 2]}]}},
    "a report of other shapes": {"report": {"tensors": [{"name": "items", "shape": [4]}]}},
    "integers as parameters": {"shared": [{"name": "items", "shape": [2, 2], "dtype": "I64"}]},
    "a floor above the goal": {"rounds": {"aggregation_goal": 2, "minimum_reports": 3}},
    "a goal of nobody": {"rounds": {"aggregation_goal": 0}},
    "more assignments than fit": {"rounds": {"aggregation_goal": 2**20}},
    "an endless deadline": {"rounds": {"aggregation_goal": 2, "deadline_seconds": 1e12}},
    "an endless report timeout": {"rounds": {"aggregation_goal": 2, "report_timeout_seconds": 1e300}},
    "a deadline in no time": {"rounds": {"aggregation_goal": 2, "deadline_seconds": 1e-300}},
    "no time to report": {"rounds": {"aggregation_goal": 2, "report_timeout_seconds": 0.999}},
    "no time to decrypt": {"homomorphic_encryption": ENCRYPTION | {"decrypt_seconds": 0.5}, "rounds": SILOS},
    "no time to reveal": {"secure_aggregation": MASKS | {"reveal_seconds": 5e-324}, "rounds": {"aggregation_goal": 5}},
    "a separation that no round ends": {"rounds": {"aggregation_goal": 2, "minimum_separation": 2**31}},
    "more participations than rounds": {"rounds": {"aggregation_goal": 2, "maximum_participations": 1_000_001}},
    "a budget that is none": {"stop": {"round_budget": 10**30}},
    "endless patience": {
        "stop": {"round_budget": 3, "convergence": {"metric": "hr@10", "patience": 2**63}},
        "metrics": ["hr@10"],
    },
    "a metric twice": {"metrics": ["hr@10", "hr@10"]},
    "a metric without a name": {"metrics": [""]},
    "a metric that no database stores": {"metrics": ["hr\0"]},
    "convergence of an unknown metric": {
        "stop": {"round_budget": 3, "convergence": {"metric": "hr@10"}},
        "metrics": ["ndcg@10"],
    },
    "encryption under no key": {"homomorphic_encryption": {}, "rounds": SILOS},
    "an unknown scheme": {"homomorphic_encryption": ENCRYPTION | {"scheme": "rsa"}, "rounds": SILOS},
    "encryption and masks": {
        "homomorphic_encryption": ENCRYPTION,
        "secure_aggregation": MASKS,
        "rounds": {"aggregation_goal": 5, "minimum_reports": 3},
    },
    "encryption and noise on what is published": {
        "homomorphic_encryption": ENCRYPTION,
        "rounds": SILOS,
        "report": {"weighting": "uniform"},
        "privacy": {"noise_multiplier": 1.0, "budget_epsilon": 5.0, "target_delta": 1e-5},
    },
    "an encrypted sum of one report": {"homomorphic_encryption": ENCRYPTION, "rounds": {"aggregation_goal": 3}},
    "an encrypted sum of two reports": {
        "homomorphic_encryption": ENCRYPTION,
        "rounds": {"aggregation_goal": 3, "minimum_reports": 2},
    },
    "a quorum of more silos than report": {
        "homomorphic_encryption": ENCRYPTION | {"decryption_quorum": 4},
        "rounds": SILOS,
    },
    "one silo that decrypts alone": {"homomorphic_encryption": ENCRYPTION | {"decryption_quorum": 1}, "rounds": SILOS},
    "encryption and silos that are replaced": {
        "homomorphic_encryption": ENCRYPTION,
        "rounds": SILOS | {"report_timeout_seconds": 60},
    },
    "more silos than an encrypted sum has room for": {
        "homomorphic_encryption": ENCRYPTION,
        "rounds": {"aggregation_goal": 129, "minimum_reports": 3},
    },
    "more silos than can be added up": {
        "homomorphic_encryption": ENCRYPTION | {"value_bits": 8},
        "rounds": {"aggregation_goal": 1024, "minimum_reports": 3},
    },
    "bounds too wide for the grid": {"report": {"maximum_norm": 1e12}},
    "an infinite norm": {"report": {"maximum_norm": float("inf")}},
    "a norm that is not a number": {"report": {"maximum_norm": float("nan")}},
    "more examples than can be counted": {"report": {"maximum_examples": 10**400}},
    "an infinite learning rate": {"training": {"learning_rate": float("inf")}},
    "NaN in the recipe": {"recipe": {"name": "mf", "config": {"x": [float("nan")]}}},
    "NUL in the recipe": {"recipe": {"name": "mf", "config": {"x\0": 1}}},
    "NUL in a pattern": {"private": ["user\0"]},
    "half a character": {"recipe": {"name": "mf", "config": {"x": "\ud800"}}},
    "a header that no reader accepts": {"shared": LONG_NAMES},
    "more elements than anybody has": {"shared": [{"name": "items", "shape": [2**40]}]},
    "a negative seed": {"seed": -1},
}


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_work_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        manifest(**changes)


def without_what_is_off(content: Any) -> Any:
    """An independent reading of the rule: keys of objects whose value is null or false are left out."""
    if isinstance(content, dict):
        return {
            key: without_what_is_off(value)
            for key, value in content.items()
            if value is not None and value is not False
        }
    return [without_what_is_off(item) for item in content] if isinstance(content, list) else content


def test_the_digest_is_of_the_canonical_json_of_what_is_on() -> None:
    task = manifest(recipe={"name": "mf", "config": {"title": "Zoë"}})
    canonical = json.dumps(
        without_what_is_off(json.loads(task.model_dump_json())),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )
    assert task.digest == hashlib.sha256(canonical.encode()).hexdigest()


def test_what_a_recipe_is_told_is_part_of_the_digest_also_where_it_is_false_or_null() -> None:
    digests = {
        manifest(recipe={"name": "mf", "config": config}).digest
        for config in ({}, {"is_ordered": False}, {"is_ordered": None})
    }
    assert len(digests) == 3


def test_the_digest_survives_being_sent_and_read() -> None:
    task = manifest(report={"maximum_norm": 3}, training={"learning_rate": 1e-7, "options": {"clip": 0.1}})
    assert TaskManifest.model_validate_json(task.model_dump_json()).digest == task.digest
    assert manifest(seed=1).digest != task.digest


@pytest.mark.parametrize(("goal", "factor", "cohort"), [(10, 1.0, 10), (10, 1.25, 13), (3, 1.1, 4), (1, 4.0, 4)])
def test_the_cohort_is_the_goal_times_the_over_selection_rounded_up(goal: int, factor: float, cohort: int) -> None:
    policy = manifest(rounds={"aggregation_goal": goal, "over_selection_factor": factor}).rounds
    assert policy.cohort_size == cohort


def test_private_patterns_match_whole_names_and_case() -> None:
    task = manifest(private=["user_*", "head.bias"])
    assert [task.is_private(name) for name in ("user_vector", "head.bias")] == [True, True]
    assert [task.is_private(name) for name in ("User_vector", "my_user_vector", "head.bias2")] == [False] * 3


def test_an_evaluation_reports_counts_only() -> None:
    task = manifest(metrics=["hr@10", "ndcg@10"])
    assert [spec.name for spec in task.body_tensors()] == ["items", "fedrec.examples", METRICS_TENSOR]
    [examples, metrics] = task.body_tensors(is_evaluation=True)
    assert (examples.name, metrics.shape) == ("fedrec.examples", (3,))


def test_a_manifest_may_be_as_small_as_this() -> None:
    assert content().keys() == {"name", "model", "recipe", "shared", "private", "rounds", "stop"}
    assert manifest().report_tensors == manifest().shared


def test_a_tensor_name_leaves_room_for_the_prefixes_of_rules() -> None:
    longest = "a" * 190
    assert TaskManifest.model_validate(content(shared=[{"name": longest, "shape": [2]}]))
    with pytest.raises(ValidationError, match="at most 190"):
        TaskManifest.model_validate(content(shared=[{"name": longest + "a", "shape": [2]}]))


def test_encrypted_reports_are_on_the_finest_grid_that_their_bits_hold() -> None:
    encrypted = manifest(
        homomorphic_encryption=ENCRYPTION, rounds=SILOS, report={"weighting": "uniform", "maximum_norm": 4.0}
    )
    assert encrypted.fraction_bits == 20  # 4 * 2**20 is the largest power of two below 2**23
    assert encrypted.opaque is encrypted.homomorphic_encryption
    most = manifest(homomorphic_encryption=ENCRYPTION, rounds=SILOS | {"aggregation_goal": 128})
    assert most.rounds.cohort_size * 2 ** (24 - 1) == 2**30
