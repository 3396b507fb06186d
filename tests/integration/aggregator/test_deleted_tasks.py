"""Tasks that an administrator deletes: what is left of them, and what goes on."""

from __future__ import annotations

import logging

import httpx
import pytest
from sqlalchemy import Connection
from typer.testing import CliRunner

from fedrec.cli import app
from fedrec_protocol.messages import Role
from services.aggregator.storage import deletion, rounds, tasks
from services.kit.db import DatabaseUnavailable
from tests.integration.aggregator.deployment import Device, Task
from tests.integration.aggregator.powers import power_of_two, powers_task
from tests.integration.aggregator.test_credentials import operator_key, refusal
from tests.integration.aggregator.test_forgotten_clients import tables_with, traces
from tests.integration.aggregator.test_private_task import private, zeros
from tests.integration.aggregator.test_task_life import run_round
from tests.integration.aggregator.world import World


def delete(task: Task, key: str | None = None) -> httpx.Response:
    return task.world.operator("DELETE", f"/v1/tasks/{task.id}", key=key)


def ended(world: World) -> tuple[Task, Device]:
    """A task that was cancelled after a round of one report, and who reported; one of its clients was erased."""
    task = world.task(**powers_task(goal=1))
    device, erased = task.devices(2)
    assert device.report(device.assigned()["assignment_id"], power_of_two(3)).status_code == 201
    world.work()
    assert world.operator("DELETE", f"/v1/clients/{erased.client_id}").status_code == 204
    assert task.steer("cancel").is_success
    return task, device


def test_of_a_deleted_task_the_log_is_left_and_its_versions(world: World) -> None:
    (task, device), (other, neighbour) = ended(world), ended(world)
    before, version = (tables_with(world, other.id), traces(world, neighbour)), task.version()
    assert delete(task).status_code == 204
    assert tables_with(world, task.id) == ["audit_log"]
    assert traces(world, device) == []
    assert refusal(world.operator("GET", f"/v1/tasks/{task.id}")) == (404, "unknown-task")
    assert world.registry_get(f"/v1/versions/{version['version_id']}/weights").status_code == 200
    assert (tables_with(world, other.id), traces(world, neighbour)) == before


def test_devices_of_a_deleted_task_are_told_and_cannot_enrol_again(world: World) -> None:
    task, device = ended(world)
    enrolment_key = task.enrolment_key
    assert delete(task).status_code == 204
    assert refusal(device.send("POST", "/v1/check-ins", json={})) == (404, "unknown-task")
    assert refusal(device.renew()) == (401, "unauthenticated")
    assert refusal(device.enrol(enrolment_key)) == (401, "unauthenticated")


def test_a_worker_that_found_a_task_before_it_was_deleted_finds_nothing_wrong(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    task, _ = ended(world)
    (last,) = task.get("/rounds?limit=1")
    assert delete(task).status_code == 204
    for found in ("collecting", "aggregating"):
        monkeypatch.setattr(rounds, found, lambda _: [last["round_id"]])
    monkeypatch.setattr(rounds, "tasks_without_round", lambda *_: [task.id])
    monkeypatch.setattr(tasks, "without_version", lambda _: [task.id])
    caplog.set_level(logging.INFO, logger="services.aggregator.worker")
    world.work()
    assert [record.levelname for record in caplog.records] == ["INFO"] * 4


def test_its_name_may_be_used_again(world: World) -> None:
    task, _ = ended(world)
    manifest = task.get()["manifest"]
    assert delete(task).status_code == 204
    assert world.operator("POST", "/v1/tasks", json=manifest).status_code == 201


@pytest.mark.parametrize("state", ["active", "paused"])
def test_a_task_that_is_not_over_is_not_deleted(world: World, state: str) -> None:
    task = world.task()
    if state == "paused":
        task.steer("pause")
    assert refusal(delete(task)) == (409, "task-not-over")
    assert task.get()["state"] == state


def test_a_task_whose_last_round_is_being_finished_is_not_deleted_yet(world: World) -> None:
    task = world.task(**powers_task(goal=1))
    device = task.device()
    world.stop_registry()
    assert device.report(device.assigned()["assignment_id"], power_of_two(3)).status_code == 201
    world.work()
    world.start_registry()
    assert task.round["state"] == "aggregating"
    assert task.steer("cancel").is_success
    assert refusal(delete(task)) == (409, "task-not-over")
    world.work()
    assert delete(task).status_code == 204


def test_it_takes_an_administrator(world: World) -> None:
    task, _ = ended(world)
    assert refusal(delete(task, operator_key(world, Role.RUN)["secret"])) == (403, "forbidden")
    assert task.get()["state"] == "completed"


def test_what_a_private_task_has_spent_outlives_it_and_its_model_is_no_other_tasks(world: World) -> None:
    task = private(world)
    run_round(task, zeros())
    assert task.steer("cancel").is_success
    spent = task.get("/privacy")
    assert spent["charges"] == 1
    assert delete(task).status_code == 204
    assert task.get("/privacy") == spent
    assert task.get()["state_reason"] == "deleted by bootstrap; its privacy ledger stays"
    assert tables_with(world, task.id) == ["audit_log", "privacy_ledgers", "tasks"]
    for privacy in ({}, {"privacy": None}):
        again = world.operator("POST", "/v1/tasks", json=task.get()["manifest"] | {"name": "again"} | privacy)
        assert refusal(again) == (422, "invalid-manifest")
    assert delete(task).status_code == 204  # there is nothing to do


def test_a_deletion_that_was_cut_short_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    task, _ = ended(world)
    with monkeypatch.context() as patched:
        patched.setattr(deletion, "delete_clients", _fail)
        assert delete(task).status_code == 503
    assert task.get()["state"] == "completed"
    assert delete(task).status_code == 204
    assert tables_with(world, task.id) == ["audit_log"]


def test_rounds_of_more_people_than_one_statement_deletes_go_in_parts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[int] = []

    def counted(tx: Connection, *, task_id: str) -> int:
        parts.append(delete_rounds(tx, task_id=task_id))
        return parts[-1]

    delete_rounds = deletion.delete_rounds
    monkeypatch.setattr(deletion, "_ASSIGNMENTS", 2)
    monkeypatch.setattr(deletion, "delete_rounds", counted)
    task = world.task(**powers_task(goal=3))
    run_round(task, [power_of_two(exponent) for exponent in range(3)])
    run_round(task, [power_of_two(exponent) for exponent in range(3)])
    assert task.steer("cancel").is_success
    assert delete(task).status_code == 204
    assert tables_with(world, task.id) == ["audit_log"]
    assert parts[:3] == [2, 2, 2]  # all assignments; after them the two rounds, and one that the worker had opened


def _fail(*_: object, **__: object) -> int:
    raise DatabaseUnavailable("cut off")


def test_the_command_asks_and_says_what_stays(world: World) -> None:
    task = private(world)
    name = task.get()["manifest"]["name"]
    assert task.steer("cancel").is_success
    command = ["task", "delete", name, "--url", world.aggregator_urls[0], "--key", world.secrets.aggregator_admin_key]
    assert CliRunner().invoke(app, command, input="n\n").exit_code == 1
    assert task.get()["state_reason"] == "cancelled by bootstrap"
    deleted = CliRunner().invoke(app, [*command, "--yes"])
    assert deleted.stdout == f"{name} is deleted; its manifest and its privacy ledger stay\n"
