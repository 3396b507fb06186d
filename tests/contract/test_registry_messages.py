"""What the registry's messages accept: values that every JSON store and reader can keep."""

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from fedrec_protocol import codec
from fedrec_protocol.registry_messages import Lineage, MetricsRequest, PromotionRequest, VersionRequest, VersionView
from fedrec_protocol.tensors import DType, TensorSpec

DIGEST = "ab" * 32


def test_metrics_are_finite() -> None:
    with pytest.raises(ValidationError):
        MetricsRequest.model_validate_json('{"metrics": {"hr@10": NaN}, "evaluated": 3}')


@pytest.mark.parametrize(
    "config",
    [
        {"name": "nul \x00"},
        {"\x00": 1},
        {"deep": [{"x": float("inf")}]},
        {"long": "x" * 70_000},
        {"half": ["\ud800"]},
        {"\udc00": 1},
    ],
)
def test_a_recipe_config_that_no_store_could_keep_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Lineage(recipe_config=config)


def test_a_recipe_config_may_speak_of_nul() -> None:
    config = {"path": "C:\\u0000", "emoji": "\U0001f3ac", "deep": [{"list": [1, 2.5, None, True]}]}
    assert Lineage(recipe_config=config).recipe_config == config


def test_prose_holds_no_nul() -> None:
    with pytest.raises(ValidationError):
        PromotionRequest(version_id="ver_1", reason="because\x00")


def test_a_digest_is_lower_case_hexadecimal() -> None:
    assert VersionRequest(digest=DIGEST).digest == DIGEST
    with pytest.raises(ValidationError):
        VersionRequest(digest=DIGEST.upper())


def test_an_older_client_reads_a_newer_lineage() -> None:
    answer = {
        "version_id": "ver_1",
        "model": "films",
        "number": 0,
        "digest": DIGEST,
        "size_bytes": 8,
        "tensors": [],
        "parent_id": None,
        "lineage": {"task_id": "tsk_1", "invented_later": True},
        "metrics": {},
        "evaluated": 0,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
        "invented_later": 1,
    }
    assert VersionView.model_validate_json(json.dumps(answer)).lineage.task_id == "tsk_1"


def test_the_specifications_of_a_file_are_read_from_its_header() -> None:
    body = codec.encode({"b": np.zeros((2, 3), np.float32), "a": np.zeros(4, np.uint16)}, bfloat16=frozenset({"a"}))
    assert codec.read_specs(body) == (
        TensorSpec(name="b", dtype=DType.F32, shape=(2, 3)),
        TensorSpec(name="a", dtype=DType.BF16, shape=(4,)),
    )
