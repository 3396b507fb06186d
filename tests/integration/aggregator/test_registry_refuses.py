"""A registry that says no, as one that says nothing at all would not: nobody tries again for ever."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from sqlalchemy import text

from fedrec_protocol.messages import ModelReference
from services.aggregator.pipeline.aggregate import aggregate
from services.aggregator.pipeline.close import close_if_due
from services.aggregator.pipeline.finish_round import finish_round
from services.aggregator.storage import tasks
from services.aggregator.storage.leases import FencedOff
from tests.integration.aggregator.deployment import Task
from tests.integration.aggregator.powers import counted, power_of_two, powers_task
from tests.integration.aggregator.world import World
from tests.unit.aggregator.manifests import content


@contextmanager
def refused(world: World) -> Iterator[None]:
    """The key that the aggregator publishes with is not accepted meanwhile."""
    statement = "UPDATE registry.operator_keys SET revoked_at = {} WHERE name = 'aggregator'"
    with world.context.db.engine.begin() as connection:
        connection.execute(text(statement.format("now()")))
    try:
        yield
    finally:
        with world.context.db.engine.begin() as connection:
            connection.execute(text(statement.format("NULL")))


def closed_round(world: World) -> Task:
    task = world.task(**powers_task(goal=2))
    for number, device in enumerate(task.devices(2)):
        assert device.report(device.assigned()["assignment_id"], power_of_two(number)).status_code == 201
    return task


def test_a_refused_round_stops_its_task_with_the_reason_and_goes_on_when_it_is_resumed(world: World) -> None:
    task = closed_round(world)
    device = task.device()
    with refused(world):
        world.work()
        view = task.get()
        assert view["state"] == "failed"
        assert view["state_reason"].startswith("round 1: the model registry refused PUT /v1/weights/")
        assert "401 credential-expired" in view["state_reason"]
        assert task.round["waiting_for"] == f"an operator to resume the task: {view['state_reason']}"
        assert device.check_in()["reason"] == "task-paused"
        assert task.steer("pause").status_code == 409
        assert task.steer("resume").json()["state"] == "active"
        world.work()
        assert task.get()["state"] == "failed"
    world.work(3)
    assert task.get()["rounds_published"] == 0
    assert task.steer("resume").json()["state"] == "active"
    world.work()
    assert counted(task) == {0, 1}
    assert device.check_in()["outcome"] == "assigned"


def test_a_refused_round_does_not_hold_up_other_tasks(world: World) -> None:
    refused_task = closed_round(world)
    with refused(world):
        world.work()
    other = closed_round(world)
    world.work()
    assert (refused_task.get()["state"], counted(other)) == ("failed", {0, 1})


def test_a_task_that_is_cancelled_instead_gives_its_refused_round_up_with_all_that_it_kept(world: World) -> None:
    task = closed_round(world)
    with refused(world):
        world.work()
        assert task.steer("cancel").json()["state"] == "completed"
        world.work()
    assert task.round["state"] == "abandoned"
    assert "401" in task.round["waiting_for"]
    kept = text("SELECT result_object, rule_state_object, wrapped_key FROM aggregator.rounds WHERE id = :id")
    with world.context.db.engine.connect() as connection:
        assert tuple(connection.execute(kept, {"id": task.round["round_id"]}).one()) == (None, None, None)


def test_a_refused_first_version_stops_the_task_before_its_first_round(world: World) -> None:
    with refused(world):
        task = world.task()
        assert task.get()["state"] == "failed"
        assert task.get()["state_reason"].startswith("no first version: the model registry refused")
    assert task.steer("resume").status_code == 200
    world.work()
    assert task.device().check_in()["outcome"] == "assigned"


def test_a_base_version_that_the_registry_has_lost_stops_the_task(world: World) -> None:
    first = world.task()
    base, model = first.version()["version_id"], first.get()["manifest"]["model"]
    first.steer("cancel")
    answer = world.operator("POST", "/v1/tasks", json=content(name="second", model=model, base_version=base))
    with world.context.db.engine.begin() as connection:
        connection.execute(text("DELETE FROM registry.versions WHERE version_id = :id"), {"id": base})
    world.work()
    task = Task(world, answer.json()["task_id"])
    assert task.get()["state"] == "failed"
    assert task.get()["state_reason"].startswith(f"no first version: the model registry has no version '{base}'")


def test_a_registry_that_is_away_is_a_line_in_the_log_and_no_traceback(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    task = closed_round(world)
    caplog.set_level(logging.WARNING, logger="services.aggregator.worker")
    world.stop_registry()
    try:
        world.work()
    finally:
        world.start_registry()
    (line,) = [record for record in caplog.records if task.round["round_id"] in record.getMessage()]
    assert (line.levelname, line.exc_info) == ("WARNING", None)
    assert "the model registry cannot be reached" in line.getMessage()
    world.work()
    assert counted(task) == {0, 1}


def test_the_newest_weights_of_several_tasks_are_remembered_side_by_side(world: World) -> None:
    both = [world.task(seed=seed) for seed in (1, 2)]
    references = [current_version(world, task) for task in both]
    expected = [task.weights()["items"] for task in both]
    for reference in references:
        world.context.registry.weights(reference)
    world.stop_registry()
    try:
        for reference, values in zip(references, expected, strict=True):
            np.testing.assert_array_equal(world.context.registry.weights(reference)["items"], values)
    finally:
        world.start_registry()


def current_version(world: World, task: Task) -> ModelReference:
    version = world.context.db.run("read_task", lambda tx: tasks.get(tx, task.id)).current_version
    assert version is not None
    return version


def test_a_worker_that_was_fenced_off_does_not_stop_the_task(world: World) -> None:
    """What it was told may have been put right since."""
    task, context = closed_round(world), world.context
    round_id = task.round["round_id"]
    close_if_due(context, round_id)
    sleeper, second = (world.lease(round_id, seconds=seconds) for seconds in (0, 60))
    aggregate(context, round_id, second)
    with refused(world), pytest.raises(FencedOff):
        finish_round(context, round_id, sleeper)
    assert task.get()["state"] == "active"
    finish_round(context, round_id, second)
    assert counted(task) == {0, 1}
