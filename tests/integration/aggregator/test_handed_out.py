"""Assignments that a process remembers, because it has handed them out itself, and what has changed since."""

from __future__ import annotations

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.integration.aggregator.deployment import Device, Task
from tests.integration.aggregator.powers import counted, power_of_two, powers_task
from tests.integration.aggregator.test_device_keys import change, refusal, with_key
from tests.integration.aggregator.world import World


def remembered(world: World, task: Task, count: int) -> list[tuple[Device, str]]:
    """Devices with assignments of a round that the first process knows: one more has reported there, 2**0."""
    first, *others = task.devices(1 + count)
    url = world.aggregator_urls[0]
    assert first.report(first.assigned()["assignment_id"], power_of_two(0), url=url).status_code == 201
    return [(device, device.assigned()["assignment_id"]) for device in others]


def goes_on(world: World, task: Task, device: Device, assignment_id: str, *, with_: set[int]) -> None:
    """One more report, of 2**9, ends the round, and these are in its sum."""
    assert report(world, device, assignment_id, 9).status_code == 201
    world.work()
    assert counted(task) == with_


def report(world: World, device: Device, assignment_id: str, exponent: int, *, process: int = 0) -> httpx.Response:
    return device.report(assignment_id, power_of_two(exponent), url=world.aggregator_urls[process])


def test_a_first_report_needs_no_look_up_and_a_second_one_does(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    task = world.task(**powers_task(goal=3))
    [(device, assignment_id), _] = remembered(world, task, 2)
    looked_up, intake = list[list[str]](), world.apps[0].state.intake
    find = intake._find

    def note_and_find(ids: list[str]) -> object:
        looked_up.append(ids)
        return find(ids)

    monkeypatch.setattr(intake._lookups, "_run", note_and_find)
    first = report(world, device, assignment_id, 1)
    assert (first.status_code, looked_up) == (201, [])
    again = report(world, device, assignment_id, 1)
    assert (again.status_code, again.json()) == (200, first.json())
    assert looked_up == [[assignment_id]]


def test_who_was_revoked_since_is_not_counted(world: World) -> None:
    task = world.task(**powers_task(goal=2, over_selection_factor=2))
    (device, assignment_id), another = remembered(world, task, 2)
    assert world.operator("DELETE", f"/v1/tasks/{task.id}/clients/{device.client_id}").status_code == 204
    assert refusal(report(world, device, assignment_id, 1)) == (403, "forbidden")
    goes_on(world, task, *another, with_={0, 9})


def test_a_token_of_a_key_that_was_replaced_since_ends_at_once(world: World) -> None:
    task, new = world.task(**powers_task(goal=3)), Ed25519PrivateKey.generate()
    (device, assignment_id), another = remembered(world, task, 2)
    changed = with_key(device, new, change(device, new, url=world.aggregator_urls[1]))
    assert refusal(report(world, device, assignment_id, 1)) == (401, "credential-expired")
    assert report(world, changed, assignment_id, 2).status_code == 201
    goes_on(world, task, *another, with_={0, 2, 9})


def test_what_another_process_has_counted_since_is_counted_once(world: World) -> None:
    task = world.task(**powers_task(goal=4))
    (same, its), (other, others), another = remembered(world, task, 3)
    counted_there = [report(world, same, its, 1, process=1), report(world, other, others, 2, process=1)]
    assert [answer.status_code for answer in counted_there] == [201, 201]
    again = report(world, same, its, 1)
    assert (again.status_code, again.json()) == (200, counted_there[0].json())
    assert refusal(report(world, other, others, 3)) == (409, "report-conflict")
    goes_on(world, task, *another, with_={0, 1, 2, 9})


def test_nobody_else_learns_of_it_or_uses_it_up(world: World) -> None:
    task = world.task(**powers_task(goal=2, over_selection_factor=2))
    (device, assignment_id), (stranger, _) = remembered(world, task, 2)
    assert refusal(report(world, stranger, assignment_id, 1)) == (404, "unknown-assignment")
    goes_on(world, task, device, assignment_id, with_={0, 9})
