"""Check-ins that are held: who is woken, who gives way, and how many may wait."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import pytest

from services.aggregator.api.waiting_room import WaitingRoom
from tests import virtual_time


async def waits(room: WaitingRoom, task: str, client: str, seconds: float = 60) -> float:
    """How long a check-in waited; it does not wait where its place is given up."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    with room.place(task, client) as place:
        place.look_up()
        if not place.is_given_up:
            await place.wait(seconds)
    return loop.time() - started


def test_those_who_wait_for_a_task_are_woken_and_the_others_are_not() -> None:
    async def scenario() -> None:
        room = WaitingRoom(10)
        mine = [asyncio.create_task(waits(room, "mine", f"client {number}")) for number in range(3)]
        other = asyncio.create_task(waits(room, "other", "client 0"))
        await asyncio.sleep(0)
        room.wake("mine")
        await asyncio.gather(*mine)
        assert not other.done()
        room.wake(None)
        await other

    virtual_time.run(scenario())


def test_of_thousands_who_wait_some_look_again_at_a_time_and_others_are_served_in_between() -> None:
    async def scenario() -> None:
        room, woken = WaitingRoom(1000), [0]
        waiting = [asyncio.create_task(waits(room, "mine", f"client {number}")) for number in range(1000)]
        await asyncio.sleep(0)
        room.wake("mine")
        while woken[-1] < len(waiting):
            await asyncio.sleep(0)
            woken.append(sum(task.done() for task in waiting))
        assert max(later - earlier for earlier, later in itertools.pairwise(woken)) <= 250

    virtual_time.run(scenario())


def test_what_changes_while_a_participant_is_being_answered_is_not_missed() -> None:
    async def scenario() -> None:
        room = WaitingRoom(10)
        with room.place("task", "client") as place:
            place.look_up()
            room.wake("task")  # the answer is being made
            await place.wait(60)
            place.look_up()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(30):
                    await place.wait(60)
                    raise AssertionError("woken twice for one change")

    virtual_time.run(scenario())


def test_whoever_waits_learns_whether_something_changed_or_the_time_is_over() -> None:
    async def scenario() -> None:
        room = WaitingRoom(10)
        with room.place("task", "client") as place:
            place.look_up()
            assert not await place.wait(0.01)
            room.wake("task")
            assert await place.wait(60)

    virtual_time.run(scenario())


def test_a_participant_waits_in_one_place_and_its_newest_request_has_it() -> None:
    async def scenario() -> None:
        room = WaitingRoom(10)
        older = asyncio.create_task(waits(room, "task", "client"))
        await asyncio.sleep(0)
        newer = asyncio.create_task(waits(room, "task", "client"))
        await older
        await asyncio.sleep(0.01)
        assert not newer.done()
        room.wake("task")
        await newer

    virtual_time.run(scenario())


def test_a_full_room_holds_nobody_else_until_somebody_leaves() -> None:
    async def scenario() -> None:
        room = WaitingRoom(2)
        held = [asyncio.create_task(waits(room, "task", f"client {number}")) for number in range(2)]
        await asyncio.sleep(0)
        assert await waits(room, "task", "one more") == 0
        room.wake("task")
        await asyncio.gather(*held)
        assert await waits(room, "task", "one more", seconds=5) == pytest.approx(5)

    virtual_time.run(scenario())


def test_a_closed_room_lets_everybody_go() -> None:
    async def scenario() -> None:
        room = WaitingRoom(10)
        held = asyncio.create_task(waits(room, "task", "client"))
        await asyncio.sleep(0)
        room.close()
        await held
        assert await waits(room, "task", "late") == 0

    virtual_time.run(scenario())
