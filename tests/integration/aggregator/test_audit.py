"""The log of what operators did: by route, and as it is typed."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from fedrec.administrator import Administrator
from fedrec.cli import app
from tests.integration.aggregator.world import World


def newest(world: World, count: int, **query: Any) -> list[tuple[str, str, str]]:
    answer = world.operator("GET", "/v1/audit", params={"limit": count, **query})
    assert answer.status_code == 200, answer.text
    return [(entry["operator"], entry["action"], entry["subject"]) for entry in answer.json()]


def act(world: World) -> list[tuple[str, str, str]]:
    """Everything that an operator can do to a task and its credentials; returns it, newest first."""
    task = world.task()
    assert task.steer("pause").is_success
    assert task.steer("resume").is_success
    device = task.device()
    [enrolment_key] = world.operator("GET", f"/v1/tasks/{task.id}/enrolment-keys").json()
    key = world.operator("POST", "/v1/operator-keys", json={"name": "ada", "role": "read"}).json()
    for path in (
        f"/v1/tasks/{task.id}/clients/{device.client_id}",
        f"/v1/tasks/{task.id}/enrolment-keys/{enrolment_key['key_id']}",
        f"/v1/operator-keys/{key['key_id']}",
    ):
        assert world.operator("DELETE", path).status_code == 204
    assert task.steer("cancel").is_success
    did = [
        ("create task", task.id),
        ("pause task", task.id),
        ("resume task", task.id),
        ("create enrolment key", enrolment_key["key_id"]),
        ("create operator key", key["key_id"]),
        ("revoke client", device.client_id),
        ("revoke enrolment key", enrolment_key["key_id"]),
        ("revoke operator key", key["key_id"]),
        ("cancel task", task.id),
    ]
    return [("bootstrap", *entry) for entry in reversed(did)]


def test_every_action_of_an_operator_is_in_the_log_newest_first(world: World) -> None:
    did = act(world)
    assert newest(world, len(did)) == did


def test_older_pages_go_on_where_the_last_one_ended(world: World) -> None:
    did = act(world)
    first = world.operator("GET", "/v1/audit", params={"limit": 4}).json()
    assert newest(world, len(did) - 4, before=first[-1]["number"]) == did[4:]


def test_a_refused_action_is_not_in_the_log(world: World) -> None:
    act(world)
    before = newest(world, 1)
    assert world.operator("DELETE", "/v1/operator-keys/okey_unknown").status_code == 404
    assert newest(world, 1) == before


def test_the_command_prints_the_log_of_either_service(world: World) -> None:
    task = world.task()
    secrets = world.secrets
    first_version = task.get()["current_version_id"]
    services = {
        (world.aggregator_urls[0], secrets.aggregator_admin_key): ["bootstrap", "create", "task", task.id],
        (world.registry_url, secrets.registry_admin_key): ["aggregator", "publish", "version", first_version],
    }
    for (url, key), words in services.items():
        printed = CliRunner().invoke(app, ["audit", "--url", url, "--key", key, "--limit", "5"])
        assert printed.exit_code == 0, printed.output
        assert printed.output.splitlines()[-1].split()[2:] == words


def test_a_proxy_in_the_environment_is_not_asked_for_what_is_on_this_machine(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody answers there
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Administrator(world.aggregator_urls[0], world.secrets.aggregator_admin_key) as administrator:
        assert administrator.audit(limit=1)


@pytest.mark.parametrize("key", ["fo_" + "x" * 43, "read"])
def test_the_command_says_why_it_was_refused(world: World, key: str) -> None:
    if key == "read":
        key = world.operator("POST", "/v1/operator-keys", json={"name": "ada", "role": "read"}).json()["secret"]
    printed = CliRunner().invoke(app, ["audit", "--url", world.aggregator_urls[0], "--key", key])
    assert printed.exit_code == 1
    assert "key" in printed.stderr
    assert "Traceback" not in printed.output
