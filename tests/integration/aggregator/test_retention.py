"""What is left of rounds that were over long ago."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from services.aggregator.domain.retention import Retention
from services.aggregator.pipeline.close import close_if_due
from services.aggregator.pipeline.forget import forget
from services.model_registry import housekeeping
from tests.integration.aggregator.deployment import Device, Task
from tests.integration.aggregator.powers import counted, power_of_two, powers_task
from tests.integration.aggregator.world import World
from tests.unit.aggregator.manifests import content

DAY = 86400
POLICY = Retention(unreported=timedelta(days=7), receipts=timedelta(days=90))


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    world = World(database_url)
    yield world
    world.stop()


def left(world: World) -> tuple[int, int]:
    """Assignments and receipts in the database."""
    query = "SELECT (SELECT count(*) FROM aggregator.assignments), (SELECT count(*) FROM aggregator.receipts)"
    with world.context.db.engine.connect() as connection:
        assignments, receipts = connection.execute(text(query)).one()
        return assignments, receipts


def one_of_two_reports(world: World, **policy: Any) -> tuple[Task, Device, str]:
    """A round that closed with the report of one of the two who were asked; the next one is open."""
    task = world.task(**powers_task(goal=1, over_selection_factor=2.0, deadline_seconds=2_000_000, **policy))
    device, silent = task.devices(2)
    assignment_id = device.assigned()["assignment_id"]
    silent.assigned()
    assert device.report(assignment_id, power_of_two(4)).status_code == 201
    world.work()
    assert task.get()["rounds_published"] == 1
    return task, device, assignment_id


def after(world: World, days: float) -> int:
    world.advance(days * DAY)
    return forget(world.context, POLICY)


def test_unreported_assignments_go_after_a_week_and_receipts_after_three_months(world: World) -> None:
    task, device, assignment_id = one_of_two_reports(world)
    assert (after(world, 6.9), left(world)) == (0, (2, 1))
    assert (after(world, 0.2), left(world)) == (1, (1, 1))
    assert device.renew().status_code == 201
    assert device.report(assignment_id, power_of_two(4)).status_code == 200
    assert (after(world, 82.8), left(world)) == (0, (1, 1))
    assert (after(world, 0.2), left(world)) == (1, (0, 0))
    assert device.renew().status_code == 201
    assert device.report(assignment_id, power_of_two(4)).json()["slug"] == "unknown-assignment"
    assert counted(task) == {4}
    assert [round_["reports"] for round_ in task.get("/rounds") if round_["state"] == "published"] == [1]


@pytest.mark.parametrize("bound", [{"maximum_participations": 1}, {"minimum_separation": 5}])
def test_receipts_that_bound_participation_stay_until_the_task_is_completed(
    world: World, bound: dict[str, int]
) -> None:
    task, device, _ = one_of_two_reports(world, **bound)
    assert (after(world, 100), left(world)) == (1, (1, 1))
    assert device.renew().status_code == 201
    assert device.check_in()["reason"] in {"participation-cap", "too-soon"}
    assert task.steer("cancel").is_success
    assert (after(world, 0), left(world)) == (1, (0, 0))


def test_a_receipt_that_a_separation_has_passed_bounds_nothing_and_goes(world: World) -> None:
    task, device, _ = one_of_two_reports(world, minimum_separation=2)
    assert device.renew().status_code == 201
    assert device.check_in()["reason"] == "too-soon"  # in round 2, which other devices end
    other = task.device()
    assert other.report(other.assigned()["assignment_id"], power_of_two(5)).status_code == 201
    world.work()
    assert task.round["number"] == 3
    assert (after(world, 20), left(world)) == (1, (2, 2))
    assert (after(world, 80), left(world)) == (1, (1, 1))  # round 2's receipt still bounds round 3
    assert device.renew().status_code == 201
    assert device.assigned()["round_number"] == 3


def test_abandoned_rounds_go_with_their_receipts_and_numbers_go_on(world: World) -> None:
    task = world.task(**powers_task(goal=2, minimum_reports=2, deadline_seconds=60))
    device = task.device()
    for _ in range(2):
        assert device.report(device.assigned()["assignment_id"], power_of_two(1)).status_code == 201
        world.advance(61)
        world.work()
        world.advance(10)  # the next one opens after a pause
        world.work()
    states = [(round_["number"], round_["state"]) for round_ in task.get("/rounds")]
    assert states == [(3, "collecting"), (2, "abandoned"), (1, "abandoned")]
    world.advance(61)
    world.work()
    assert (after(world, 100), left(world)) == (2, (0, 0))
    assert [round_["number"] for round_ in task.get("/rounds")] == [3]  # the newest says where numbers go on
    world.work()
    assert task.round["number"] == 4
    assert device.renew().status_code == 201
    assert device.assigned()["round_number"] == 4


def test_a_round_under_way_keeps_everything_however_old_it_is(world: World) -> None:
    task = world.task(**powers_task(goal=2, deadline_seconds=2_000_000))
    device, silent = task.devices(2)
    assert device.report(device.assigned()["assignment_id"], power_of_two(1)).status_code == 201
    silent.assigned()
    assert (after(world, 1000), left(world)) == (0, (2, 1))


def test_a_round_that_was_closed_long_ago_and_is_not_published_keeps_everything(world: World) -> None:
    task = world.task(**powers_task(goal=1, over_selection_factor=2.0))
    device, silent = task.devices(2)
    silent.assigned()
    assert device.report(device.assigned()["assignment_id"], power_of_two(1)).status_code == 201
    assert close_if_due(world.context, task.round["round_id"]) is not None
    assert (after(world, 1000), left(world)) == (0, (2, 1))


def test_the_audit_log_is_kept_for_ever_or_for_as_long_as_the_operator_says(world: World) -> None:
    world.task()
    world.advance(1000 * DAY)
    world.task()
    forget(world.context, POLICY)
    before = audited(world)
    assert len(before) >= 2
    forget(world.context, replace(POLICY, audit=timedelta(days=999)))
    assert audited(world) == [entry for entry in before if entry["at"] > "2029"]  # the clock began in 2026
    assert audited(world)


def audited(world: World) -> Any:
    return world.operator("GET", "/v1/audit").json()


def test_workers_forget_when_they_sweep(world: World) -> None:
    one_of_two_reports(world)
    world.advance(8 * DAY)
    world.worker.sweep()
    assert left(world) == (1, 1)


def test_tasks_that_wait_for_months_keep_the_weights_that_they_began_from(world: World) -> None:
    first = world.task(**powers_task(goal=1))
    for exponent in (1, 2):
        report(first, exponent)
    model = first.get()["manifest"]["model"]
    one, other, _ = (view["version_id"] for view in world.registry_get(f"/v1/models/{model}/versions").json()[::-1])
    world.advance(20 * 365 * DAY)  # past the database's clock, by which uploads are stamped
    starving = world.task(**powers_task(goal=1), model=model, base_version=one)
    paused = new_task(world, **powers_task(goal=1), model=model, base_version=other)
    assert paused.steer("pause").is_success  # before a worker has seen it
    for _ in range(2):
        days_pass(world, 60)
    assert paused.steer("resume").is_success
    world.work()
    for task in (starving, paused):
        report(task, 4)
        assert counted(task) == {4}
    starving.steer("cancel")
    days_pass(world, 91)
    assert not starving.version(one)["has_weights"]


def new_task(world: World, **changes: Any) -> Task:
    """A task that no worker has looked at."""
    answer = world.operator("POST", "/v1/tasks", json=content(name="new") | changes)
    assert answer.status_code == 201, answer.text
    return Task(world, answer.json()["task_id"])


def report(task: Task, exponent: int) -> None:
    """One report, and the round that it ends."""
    device = task.device()
    assert device.report(device.assigned()["assignment_id"], power_of_two(exponent)).status_code == 201
    task.world.work()


def days_pass(world: World, days: float) -> None:
    """So much time, and then what both services delete after some time."""
    world.advance(days * DAY)
    world.worker.sweep()
    housekeeping.sweep(world.registry_app.state.context)
    world.work()  # a round that is overdue is abandoned
    world.advance(10)  # and the next one opens after a pause
    world.work()
