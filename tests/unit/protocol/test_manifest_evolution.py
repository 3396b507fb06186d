"""An installed app reads the manifests of newer servers, as long as they use nothing that it does not know."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import ParticipantTask
from tests.unit.aggregator.manifests import manifest

PRIVATE = {
    "report": {"weighting": "uniform"},
    "privacy": {"noise_multiplier": 1.0, "budget_epsilon": 5.0, "target_delta": 1e-5},
}


def answered(task: TaskManifest, content: dict[str, Any]) -> TaskManifest:
    """What an app reads from a server's answer."""
    answer = {"task_id": "tsk_1", "state": "active", "manifest": content, "manifest_digest": task.digest, "new": 1}
    return ParticipantTask.model_validate_json(json.dumps(answer)).manifest


@pytest.mark.parametrize("off", [None, False])
@pytest.mark.parametrize("part", ["", "rounds", "report", "privacy", "shared"])
def test_an_unknown_option_that_is_off_is_passed_over_and_the_digest_stays(part: str, off: Any) -> None:
    task = manifest(**PRIVATE)
    content = json.loads(task.model_dump_json())
    place = content[part] if part else content
    (place[0] if part == "shared" else place)["option_of_next_year"] = off
    assert answered(task, content) == task
    assert answered(task, content).digest == task.digest


@pytest.mark.parametrize("value", [True, 0, "", {}, []])
def test_an_unknown_option_that_is_on_is_refused(value: Any) -> None:
    task = manifest()
    with pytest.raises(ValidationError, match="option_of_next_year"):
        answered(task, {**json.loads(task.model_dump_json()), "option_of_next_year": value, "another": None})


def test_an_operator_who_misspells_an_option_is_told_whatever_its_value() -> None:
    with pytest.raises(ValidationError, match="secure_agregation"):
        TaskManifest.model_validate({**manifest().model_dump(mode="json"), "secure_agregation": None})
