"""Exactly once: every report is a distinct power of two, so the published sum is the list of who was counted."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from services.aggregator.pipeline.close import close_if_due
from services.aggregator.storage import partial_sums
from services.aggregator.storage.partial_sums import PartialSumRow
from tests.integration.aggregator.powers import counted, power_of_two, powers_task
from tests.integration.aggregator.world import World

PARTICIPANTS = 12


def test_the_published_sum_is_the_list_of_who_was_counted(world: World) -> None:
    task = world.task(**powers_task(goal=4))
    devices = task.devices(4)
    for number, device in enumerate(devices):
        assert device.report(device.assigned()["assignment_id"], power_of_two(2 * number)).status_code == 201
    world.work()
    assert counted(task) == {0, 2, 4, 6}


def test_one_report_through_two_processes_at_once_is_counted_once(world: World) -> None:
    task = world.task(**powers_task(goal=PARTICIPANTS))
    devices = task.devices(PARTICIPANTS)
    assignments = [device.assigned()["assignment_id"] for device in devices]
    answers: list[tuple[int, int, Any]] = []
    gate = threading.Barrier(2 * PARTICIPANTS)

    def send(number: int, url: str) -> None:
        gate.wait(60)
        for _ in range(3):
            answer = devices[number].report(assignments[number], power_of_two(number), url=url)
            answers.append((number, answer.status_code, answer.json()))

    threads = [
        threading.Thread(target=send, args=(number, url))
        for number in range(PARTICIPANTS)
        for url in world.aggregator_urls[:2]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for _, status, _ in answers} <= {200, 201}
    receipts = {
        number: {receipt["report_id"] for who, _, receipt in answers if who == number} for number, _, _ in answers
    }
    assert all(len(ids) == 1 for ids in receipts.values())
    assert task.round["reports"] == PARTICIPANTS
    world.work()
    assert counted(task) == set(range(PARTICIPANTS))
    assert task.version()["lineage"]["report_count"] == PARTICIPANTS


def test_of_two_different_reports_at_once_one_is_counted(world: World) -> None:
    task = world.task(**powers_task(goal=PARTICIPANTS))
    devices = task.devices(PARTICIPANTS)
    assignments = [device.assigned()["assignment_id"] for device in devices]
    accepted: list[int] = []
    statuses: Counter[int] = Counter()
    gate = threading.Barrier(2 * PARTICIPANTS)

    def send(number: int, exponent: int, url: str) -> None:
        gate.wait(60)
        answer = devices[number].report(assignments[number], power_of_two(exponent), url=url)
        statuses[answer.status_code] += 1
        if answer.status_code == 201:
            accepted.append(exponent)

    threads = [
        threading.Thread(target=send, args=(number, number + PARTICIPANTS * index, url))
        for number in range(PARTICIPANTS)
        for index, url in enumerate(world.aggregator_urls[:2])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == {201: PARTICIPANTS, 409: PARTICIPANTS}
    world.work()
    assert counted(task) == set(accepted)
    assert {exponent % PARTICIPANTS for exponent in accepted} == set(range(PARTICIPANTS))


def test_a_report_that_was_acknowledged_survives_a_new_process(world: World) -> None:
    task = world.task(**powers_task(goal=3))
    devices = task.devices(3)
    assignments = [device.assigned()["assignment_id"] for device in devices]
    first = devices[0].report(assignments[0], power_of_two(0))
    world.restart_aggregator()
    again = devices[0].report(assignments[0], power_of_two(0))
    assert (again.status_code, again.json()) == (200, first.json())
    for number in (1, 2):
        assert devices[number].report(assignments[number], power_of_two(number)).status_code == 201
    world.work()
    assert counted(task) == {0, 1, 2}


def test_a_registry_that_is_down_delays_a_version_and_loses_nothing(world: World) -> None:
    task = world.task(**powers_task(goal=2))
    for number, device in enumerate(task.devices(2)):
        device.report(device.assigned()["assignment_id"], power_of_two(number))
    world.stop_registry()
    try:
        world.work(2)
        assert task.round["state"] == "aggregating"
        assert task.round["reports"] == 2
    finally:
        world.start_registry()
    world.work()
    assert counted(task) == {0, 1}


@pytest.mark.parametrize("count", [1, 5])
def test_publishing_again_after_a_crash_gives_the_same_version(
    world: World, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    task = world.task(**powers_task(goal=1))
    device = task.device()
    device.report(device.assigned()["assignment_id"], power_of_two(3))
    calls = published_before_crashes(world, monkeypatch, count)
    world.work(count + 1)
    assert len({version.version_id for version in calls}) == 1
    assert task.version()["number"] == 1
    assert counted(task) == {3}
    np.testing.assert_array_equal(task.weights()["items"], [8.0])


def test_a_crash_after_the_first_version_was_published_leaves_no_second_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = published_before_crashes(world, monkeypatch, 1)
    task = world.task(**powers_task(goal=1))
    assert task.get()["current_version_id"] is None
    world.work()
    assert [version.version_id for version in calls] == 2 * [task.get()["current_version_id"]]


def published_before_crashes(world: World, monkeypatch: pytest.MonkeyPatch, count: int) -> list[Any]:
    """What the registry answers; so many times the worker is killed when it has."""
    publish, calls = world.context.registry.publish, list[Any]()

    def publish_and_crash(*arguments: Any) -> Any:
        calls.append(publish(*arguments))
        if len(calls) <= count:
            raise RuntimeError("killed between the registry and the database")
        return calls[-1]

    monkeypatch.setattr(world.context.registry, "publish", publish_and_crash)
    return calls


def test_a_report_that_another_process_took_has_its_receipt_after_the_close_too(world: World) -> None:
    """Where it was handed out, the assignment is remembered as it was."""
    task, (here, elsewhere, _) = world.task(**powers_task(goal=2)), world.aggregator_urls
    first, second = task.devices(2)
    assert first.report(first.assigned()["assignment_id"], power_of_two(0), url=here).status_code == 201
    assignment_id = second.assigned()["assignment_id"]
    taken = second.report(assignment_id, power_of_two(1), url=elsewhere)
    assert close_if_due(world.context, task.round["round_id"]) is not None
    again = second.report(assignment_id, power_of_two(1), url=here)
    assert (taken.status_code, again.status_code, again.json()) == (201, 200, taken.json())


def test_a_partial_sum_is_moved_from_where_its_process_left_it_and_counted_with_its_round_alone(world: World) -> None:
    task, other = (world.task(**powers_task(goal=9)) for _ in range(2))
    for reported in (task, other):
        device = reported.device()
        assert device.report(device.assigned()["assignment_id"], power_of_two(1)).status_code == 201
    round_id, now = task.round["round_id"], world.context.now()
    with world.context.db.engine.connect() as tx:
        (own,) = partial_sums.of_round(tx, round_id)
        moved = replace(own, object_key="obj_next", report_count=4)
        assert partial_sums.point_to(tx, moved, round_id, now, superseded=own.object_key) == 4
        assert partial_sums.point_to(tx, PartialSumRow("psm_2", "obj_2", 3), round_id, now, superseded=None) == 7
        with pytest.raises(RuntimeError, match="not where its process left it"):
            partial_sums.point_to(tx, moved, round_id, now, superseded=own.object_key)
