"""Room for bodies: who waits for it, and who has to give it up."""

from __future__ import annotations

import asyncio

import pytest

from services.aggregator.api.body_budget import BodyBudget, Pace, Room
from services.aggregator.domain.errors import BodyTimeout, Overloaded
from tests import virtual_time


def test_bodies_beyond_the_budget_wait_in_order_of_arrival() -> None:
    async def scenario() -> None:
        budget = BodyBudget(10)
        order: list[str] = []

        async def hold(name: str, size: int, until: asyncio.Event) -> None:
            async with budget.reserve(size):
                order.append(name)
                await until.wait()

        events = {name: asyncio.Event() for name in "abcd"}
        tasks = [
            asyncio.create_task(hold(name, size, events[name])) for name, size in zip("abcd", (6, 6, 1, 4), strict=True)
        ]
        await asyncio.sleep(0)
        assert order == ["a"]  # c would fit, but b was first
        events["a"].set()
        while len(order) < 3:
            await asyncio.sleep(0)
        assert order == ["a", "b", "c"]
        for event in events.values():
            event.set()
        await asyncio.gather(*tasks)
        assert order == ["a", "b", "c", "d"]
        async with budget.reserve(10):  # everything was given back
            pass

    virtual_time.run(scenario())


def test_bodies_that_have_all_the_room_are_known_once_others_wait() -> None:
    async def scenario() -> None:
        budget = BodyBudget(100)
        async with budget.reserve(50), budget.reserve(50):
            assert not budget.is_held_by(2)  # nobody waits: the next one may come at any moment
            waiting = asyncio.create_task(budget.reserve(50).__aenter__())
            await asyncio.sleep(0)
            assert budget.is_held_by(2)
            assert not budget.is_held_by(1)  # the other one's body is still arriving
        await waiting

    virtual_time.run(scenario())


def test_whoever_runs_out_of_patience_is_told_to_come_back() -> None:
    async def scenario() -> None:
        budget = BodyBudget(10, patience_seconds=0.01)
        async with budget.reserve(10):
            with pytest.raises(Overloaded) as refused:
                async with budget.reserve(1):
                    pass
            assert refused.value.retry_after_seconds
        async with budget.reserve(10):
            pass

    virtual_time.run(scenario())


def test_a_queue_that_is_too_long_is_not_joined() -> None:
    async def scenario() -> None:
        budget = BodyBudget(10, longest_queue=0)
        async with budget.reserve(10):
            with pytest.raises(Overloaded):
                async with budget.reserve(1):
                    pass

    virtual_time.run(scenario())


def test_a_waiting_body_whose_sender_leaves_takes_no_room() -> None:
    async def scenario() -> None:
        budget = BodyBudget(10)

        async def enter(size: int) -> None:
            async with budget.reserve(size):
                pass

        async with budget.reserve(10):
            leaving, staying = asyncio.create_task(enter(8)), asyncio.create_task(enter(10))
            await asyncio.sleep(0)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
        await staying
        async with budget.reserve(10):
            pass

    virtual_time.run(scenario())


def test_a_body_larger_than_the_budget_makes_it_grow() -> None:
    async def scenario() -> None:
        budget = BodyBudget(10)
        budget.grow_to(50)
        budget.grow_to(20)
        async with budget.reserve(50):
            pass

    virtual_time.run(scenario())


async def drip(room: Room, *, bytes_each: int, every_seconds: float) -> None:
    """A sender that goes on at this rate until somebody stops it."""

    async def read() -> None:
        while True:
            await asyncio.sleep(every_seconds)
            room.received_bytes += bytes_each

    await room.fill(read())


def test_a_body_that_falls_behind_the_least_rate_is_given_up() -> None:
    pace = Pace(longest_seconds=60, grace_seconds=0.05, least_rate=1000)

    async def scenario() -> None:
        budget = BodyBudget(10_000, pace, look_seconds=0.01)
        async with budget.reserve(10_000) as room:
            with pytest.raises(BodyTimeout, match="too slow"):
                await drip(room, bytes_each=1, every_seconds=0.01)
        assert room.received_bytes < 100

    virtual_time.run(scenario())


def test_a_body_that_keeps_the_least_rate_may_take_its_time() -> None:
    pace = Pace(longest_seconds=0.3, grace_seconds=0.05, least_rate=1000)

    async def scenario() -> None:
        budget = BodyBudget(1_000_000, pace, look_seconds=0.01)
        started = asyncio.get_running_loop().time()
        async with budget.reserve(1_000_000) as room:
            with pytest.raises(BodyTimeout):  # not before the longest time is over
                await drip(room, bytes_each=5000, every_seconds=0.02)
        assert asyncio.get_running_loop().time() - started >= 0.3

    virtual_time.run(scenario())


def test_the_slowest_gives_way_to_those_who_wait() -> None:
    """Two slow senders hold all the room; a third is served long before they would be done."""
    pace = Pace(longest_seconds=60, grace_seconds=0.05, least_rate=1, contended_rate=1e9)

    async def scenario() -> None:
        budget = BodyBudget(20, pace, look_seconds=0.02)

        async def send(bytes_each: int) -> None:
            async with budget.reserve(10) as room:
                await drip(room, bytes_each=bytes_each, every_seconds=0.01)

        slower, slow = asyncio.create_task(send(1)), asyncio.create_task(send(10))
        await asyncio.sleep(0)
        async with budget.reserve(10):
            with pytest.raises(Overloaded, match="slow"):
                await slower
            await asyncio.sleep(0.1)
            assert not slow.done()  # nobody waits any more
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow

    virtual_time.run(scenario())


def test_nobody_gives_way_who_is_fast_enough_or_has_just_begun_or_has_arrived() -> None:
    async def gives_way(pace: Pace, *, is_arriving: bool = True) -> bool:
        budget = BodyBudget(10, pace, look_seconds=0.01, patience_seconds=0.2)

        async def hold() -> None:
            async with budget.reserve(10) as room:
                if is_arriving:
                    await drip(room, bytes_each=1000, every_seconds=0.001)
                await asyncio.sleep(60)

        holding = asyncio.create_task(hold())
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            async with budget.reserve(10):
                raise Overloaded("there was room")  # what both ends have in common
        holding.cancel()
        (outcome,) = await asyncio.gather(holding, return_exceptions=True)
        return isinstance(outcome, Overloaded)

    slow = Pace(grace_seconds=0.05, least_rate=1, contended_rate=1e12)
    assert virtual_time.run(gives_way(slow))
    assert not virtual_time.run(gives_way(Pace(grace_seconds=0.05, least_rate=1, contended_rate=1)))
    assert not virtual_time.run(gives_way(Pace(grace_seconds=60.0, least_rate=1, contended_rate=1e12)))
    assert not virtual_time.run(gives_way(slow, is_arriving=False))
