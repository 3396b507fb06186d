"""The two pages about the protocol do what they say: their code runs against a real deployment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load

from fedrec.local.stack import LocalStack
from fedrec.operator import Operator
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import TaskState
from tests.acceptance.pages import code_of


def test_curl_alone_gets_from_a_task_to_a_promoted_version(
    stack: LocalStack, operator: Operator, tmp_path: Path
) -> None:
    keys = stack.secrets
    settings = {
        "AGGREGATOR": stack.aggregator_url,
        "AGGREGATOR_KEY": keys.aggregator_admin_key,
        "REGISTRY": stack.registry_url,
        "REGISTRY_KEY": keys.registry_admin_key,
    }
    script = "set -euo pipefail\n" + code_of("protocol-curl.md", "bash")

    command = ["bash", "-c", script]
    environment = os.environ | settings
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].split() == ["0.5", "-1"]
    task = next(task for task in operator.tasks() if task.manifest.name == "two-numbers")
    assert task.state is TaskState.COMPLETED
    version = operator.version(task.current_version_id or "")
    assert (version.lineage.report_count, version.lineage.weight) == (1, 3)


def test_two_participants_without_the_sdk_find_the_mean_of_all_their_numbers(
    stack: LocalStack, operator: Operator, tmp_path: Path
) -> None:
    task = operator.create_task(TaskManifest.model_validate_json(code_of("protocol-python.md", "json")))
    key = operator.create_enrolment_key(task.task_id).secret
    program = tmp_path / "participant.py"
    program.write_text(code_of("protocol-python.md", "python"))
    settings = os.environ | {"AGGREGATOR": stack.aggregator_url, "ENROLMENT_KEY": key}

    people = [
        subprocess.Popen([sys.executable, program, *numbers], env=settings, stdout=subprocess.PIPE, text=True)
        for numbers in (["1", "2", "3"], ["10", "20"])
    ]
    said = [person.communicate(timeout=280)[0].splitlines() for person in people]

    assert [person.returncode for person in people] == [0, 0]
    for lines in said:
        assert [line.split(" ")[0] for line in lines] == ["counted", "counted", "the"]
        assert lines[-1] == "the task is completed"
    version_id = operator.task(task.task_id).current_version_id
    mean = load(operator.weights(version_id or ""))["mean"]
    assert mean == pytest.approx([(1 + 2 + 3 + 10 + 20) / 5], abs=1e-6)
