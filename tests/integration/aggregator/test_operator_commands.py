"""`fedrec task`, `model`, `client`, `operator-key` and `enrolment-key` on real services."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
from typer.testing import CliRunner, Result

from fedrec.cli import app
from tests.integration.aggregator.deployment import Device, Task, report_of
from tests.integration.aggregator.world import World
from tests.issuers import Issuer


def typed(world: World, *arguments: str, key: str = "", typing: str | None = None) -> Result:
    """A command to the aggregator, by its administrator unless another key is given."""
    url = ("--url", world.aggregator_urls[0])
    return CliRunner().invoke(app, [*arguments, *url, "--key", key or world.secrets.aggregator_admin_key], input=typing)


def said(world: World, *arguments: str, key: str = "") -> str:
    """What a command printed that succeeded."""
    result = typed(world, *arguments, key=key)
    assert result.exit_code == 0, result.output
    return result.output


def registry_said(world: World, *arguments: str) -> str:
    """What a command to the registry printed that succeeded."""
    options = ("--url", world.registry_url, "--key", world.secrets.registry_admin_key)
    result = CliRunner().invoke(app, [*arguments, *options])
    assert result.exit_code == 0, result.output
    return result.output


def publish(task: Task) -> None:
    """One round of one report, with a metric of its base version."""
    device = task.device()
    report = report_of(np.ones((2, 2)), metrics=[1, 0.25])
    assert device.report(device.assigned()["assignment_id"], report).status_code == 201
    task.world.work()


def task_of_two_versions(world: World) -> Task:
    task = world.task(metrics=["hr@10"], rounds={"aggregation_goal": 1})
    publish(task)
    return task


def line_with(output: str, text: str) -> list[str]:
    """The words of the one line that holds a text."""
    [line] = [line for line in output.splitlines() if text in line]
    return line.split()


def words(refused: Result) -> str:
    """What stands in the box around a refusal."""
    return " ".join(refused.stderr.replace("│", " ").split())


def today(world: World, *, days: int = 0) -> str:
    """By the world's clock, which other tests move."""
    return f"{world.clock.now() + timedelta(days=days):%Y-%m-%d}"


def test_a_task_is_listed_and_shown_by_its_name_or_its_id(world: World) -> None:
    task = task_of_two_versions(world)
    manifest = task.get()["manifest"]
    budget = manifest["stop"]["round_budget"]
    assert line_with(said(world, "task", "list"), task.id)[:5] == [manifest["name"], "active", "1", "of", str(budget)]
    shown = said(world, "task", "show", manifest["name"])
    assert shown == said(world, "task", "show", task.id)
    assert f"round 2: {task.round['waiting_for']}" in shown
    assert line_with(shown, "hr@10")[:7] == ["1", "training", "published", "1", "of", "1", today(world)]
    assert line_with(shown, "hr@10")[-2:] == ["hr@10", "0.2500"]


def test_what_became_of_the_last_round_is_said_in_words(world: World) -> None:
    task = world.task(metrics=["hr@10"], rounds={"aggregation_goal": 1}, stop={"round_budget": 1}, evaluate_final=False)
    publish(task)
    over = "it is published: 1 of 1 reported; the task is completed: the round budget of 1 is used up"
    assert f"round 1: {over}" in said(world, "task", "show", task.id)


def test_what_a_private_task_has_spent_is_shown(world: World) -> None:
    privacy = {"noise_multiplier": 1.0, "budget_epsilon": 8.0, "target_delta": 1e-5}
    rounds = {"aggregation_goal": 2, "minimum_reports": 2}
    task = world.task(privacy=privacy, rounds=rounds, report={"weighting": "uniform", "maximum_norm": 2.0})
    assert "epsilon 0 of 8: " in said(world, "task", "show", task.id)


def test_a_task_is_paused_resumed_and_cancelled(world: World) -> None:
    task = world.task()
    for action, state in (("pause", "paused"), ("resume", "active")):
        assert f"({task.id}) is {state}" in said(world, "task", action, task.id)
        assert task.get()["state"] == state
    assert typed(world, "task", "cancel", task.id, typing="n\n").exit_code == 1
    assert task.get()["state"] == "active"
    assert typed(world, "task", "cancel", task.id, typing="y\n").exit_code == 0
    assert task.get()["state"] == "completed"


def test_a_listing_of_nothing_says_so_and_prints_no_row(world: World) -> None:
    listing = typed(world, "enrolment-key", "list", world.task().id)
    assert (listing.exit_code, listing.stdout) == (0, "")
    assert "has no enrolment keys" in listing.stderr


def test_a_task_that_is_not_there_is_named_and_the_list_pointed_to(world: World) -> None:
    result = typed(world, "task", "pause", "no-such-task")
    assert result.exit_code == 1
    assert "there is no task 'no-such-task': `fedrec task list`" in result.stderr


def test_what_is_not_there_is_said_once(world: World) -> None:
    options = ("--url", world.registry_url, "--key", world.secrets.registry_admin_key)
    assert (
        CliRunner().invoke(app, ["model", "versions", "nope", *options]).stderr == "fedrec: there is no model 'nope'\n"
    )


def test_versions_are_listed_promoted_by_number_and_rolled_back(world: World) -> None:
    task = task_of_two_versions(world)
    model, newest = task.get()["manifest"]["model"], task.get()["current_version_id"]
    listed = registry_said(world, "model", "versions", model)
    assert line_with(listed, newest)[0] == "1"
    first = line_with(listed, "0.2500")[-1]
    for version, number, version_id in (("0", 0, first), (newest, 1, newest)):
        promoted = registry_said(world, "model", "promote", model, version, "--reason", "looks well")
        assert promoted == f"production is version {number} of {model}: {version_id}\n"
    assert f"production {newest}" in " ".join(line_with(registry_said(world, "model", "list"), f"{model} "))
    assert registry_said(world, "model", "roll-back", model) == f"production is version 0 of {model}: {first}\n"


def test_a_gate_and_a_missing_version_are_refused_in_words(world: World) -> None:
    model = task_of_two_versions(world).get()["manifest"]["model"]
    options = ("--url", world.registry_url, "--key", world.secrets.registry_admin_key)
    registry_said(world, "model", "promote", model, "0")
    unmeasured = CliRunner().invoke(app, ["model", "promote", model, "1", "--metric", "hr@10", *options])
    assert (unmeasured.exit_code, "hr@10" in unmeasured.stderr) == (1, True)
    missing = CliRunner().invoke(app, ["model", "promote", model, "7", *options])
    assert (missing.exit_code, "has no version 7" in missing.stderr) == (1, True)


def test_an_operator_key_is_made_works_within_its_role_and_is_revoked(world: World) -> None:
    secret = said(world, "operator-key", "make", "grace", "--role", "read", "--days", "30").strip()
    task = world.task()
    assert task.id in said(world, "task", "list", key=secret)
    assert typed(world, "task", "pause", task.id, key=secret).exit_code == 1
    row = line_with(said(world, "operator-key", "list"), "grace")
    assert row[1:3] == ["read", today(world)]
    assert row[4] == today(world, days=30)
    assert said(world, "operator-key", "revoke", row[-1]) == f"{row[-1]} is revoked\n"
    assert typed(world, "task", "list", key=secret).exit_code == 1
    assert "this needs an operator key, `fo_...`" in typed(world, "task", "list", key="nonsense").stderr


def test_an_enrolment_key_is_made_enrols_and_is_revoked(world: World) -> None:
    task = world.task()
    secret = said(world, "enrolment-key", "make", task.id).strip()
    assert Device(world).enrol(secret).status_code == 201
    row = line_with(said(world, "enrolment-key", "list", task.id), "ekey_")
    assert row[2] == "never"
    key_id = row[-1]
    assert said(world, "enrolment-key", "revoke", task.id, key_id) == f"{key_id} is revoked\n"
    assert Device(world).enrol(secret).status_code == 401


def test_an_enrolment_key_demands_vouchers_whose_keys_are_replaced_from_the_command_line(
    world: World, tmp_path: Path
) -> None:
    task, backend = world.task(), Issuer()
    successor = Issuer(kid="2027")
    for issuer in (backend, successor):
        (tmp_path / issuer.kid).write_text(json.dumps({"keys": [issuer.jwk]}))
    options = ["--voucher-issuer", backend.issuer, "--voucher-audience", backend.audience, "--voucher-unbound"]
    made = ["enrolment-key", "make", task.id, *options]
    secret = said(world, *made, "--voucher-keys", str(tmp_path / "2026")).strip()
    now = world.clock.now().timestamp()
    assert Device(world).enrol(secret).status_code == 401
    assert Device(world).enrol(secret, voucher=backend.voucher("ada", now)).status_code == 201
    listed = said(world, "enrolment-key", "list", task.id)
    assert f"{backend.issuer} for films, unbound, keys 2026  ekey_" in listed
    key_id = line_with(listed, "ekey_")[-1]
    said_now = said(world, "enrolment-key", "vouchers", task.id, key_id, "--voucher-keys", str(tmp_path / "2027"))
    assert said_now == f"{key_id} demands vouchers: {backend.issuer} for films, unbound, keys 2027\n"
    assert Device(world).enrol(secret, voucher=backend.voucher("ada", now)).status_code == 401
    assert Device(world).enrol(secret, voucher=successor.voucher("ada", now)).status_code == 201

    (tmp_path / "private").write_text(json.dumps({"keys": [backend.jwk | {"d": "the-private-half"}]}))
    refused = typed(world, *made, "--voucher-keys", str(tmp_path / "private"))
    assert (refused.exit_code, "private or symmetric" in words(refused)) == (2, True)
    assert "the-private-half" not in refused.stderr
    incomplete = typed(world, *made)
    assert (incomplete.exit_code, "vouchers need all of" in words(incomplete)) == (2, True)
    assert typed(world, "enrolment-key", "vouchers", task.id, key_id, "--voucher-keys", "nowhere").exit_code == 2
    assert "say what changes" in words(typed(world, "enrolment-key", "vouchers", task.id, key_id))
    assert "no enrolment key 'ekey_none'" in words(typed(world, "enrolment-key", "vouchers", task.id, "ekey_none"))


def test_a_device_is_revoked_and_erased(world: World) -> None:
    task = world.task()
    device = task.device()
    assert said(world, "client", "revoke", task.id, device.client_id) == f"{device.client_id} is revoked\n"
    assert device.check_in()["reason"] == "revoked"
    assert device.client_id in said(world, "client", "erase", device.client_id)
    result = typed(world, "client", "erase", device.client_id)
    assert (result.exit_code, "there is no client" in result.stderr) == (1, True)


def test_what_no_service_would_take_is_refused_as_typed(world: World) -> None:
    result = typed(world, "operator-key", "make", "x" * 101)
    assert result.exit_code == 2
    assert "name" in result.stderr


def test_listings_are_also_what_the_services_answer(world: World) -> None:
    task = task_of_two_versions(world)
    model = task.get()["manifest"]["model"]
    asked = {
        ("task", "list"): "/v1/tasks",
        ("enrolment-key", "list", task.id): f"/v1/tasks/{task.id}/enrolment-keys",
        ("operator-key", "list"): "/v1/operator-keys",
    }
    for words, path in asked.items():
        assert json.loads(said(world, *words, "--json")) == world.operator("GET", path).json()
    versions = json.loads(registry_said(world, "model", "versions", model, "--json"))
    assert [(version["model"], version["number"]) for version in versions] == [(model, 1), (model, 0)]
    assert model in {each["name"] for each in json.loads(registry_said(world, "model", "list", "--json"))}
    entries = json.loads(said(world, "audit", "--limit", "2", "--json"))
    assert entries[::-1] == world.operator("GET", "/v1/audit", params={"limit": 2}).json()
