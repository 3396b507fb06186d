"""Waiting: how much may be held in memory, and who is answered together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from services.aggregator.api.body import MemoryBudget
from services.aggregator.domain.errors import Overloaded
from services.kit.batcher import Batcher


def test_bodies_beyond_the_budget_wait_in_order_of_arrival() -> None:
    async def scenario() -> None:
        budget = MemoryBudget(10)
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

    asyncio.run(scenario())


def test_whoever_runs_out_of_patience_is_told_to_come_back() -> None:
    async def scenario() -> None:
        budget = MemoryBudget(10, patience_seconds=0.01)
        async with budget.reserve(10):
            with pytest.raises(Overloaded) as refused:
                async with budget.reserve(1):
                    pass
            assert refused.value.retry_after_seconds
        async with budget.reserve(10):
            pass

    asyncio.run(scenario())


def test_a_queue_that_is_too_long_is_not_joined() -> None:
    async def scenario() -> None:
        budget = MemoryBudget(10, longest_queue=0)
        async with budget.reserve(10):
            with pytest.raises(Overloaded):
                async with budget.reserve(1):
                    pass

    asyncio.run(scenario())


def test_a_waiting_body_whose_sender_leaves_takes_no_room() -> None:
    async def scenario() -> None:
        budget = MemoryBudget(10)

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

    asyncio.run(scenario())


def test_a_body_larger_than_the_budget_makes_it_grow() -> None:
    async def scenario() -> None:
        budget = MemoryBudget(10)
        budget.grow_to(50)
        budget.grow_to(20)
        async with budget.reserve(50):
            pass

    asyncio.run(scenario())


def test_requests_that_arrive_while_a_batch_is_worked_on_share_the_next_one() -> None:
    batches: list[list[int]] = []
    first_runs, may_go = threading.Event(), threading.Event()

    def run(items: list[int]) -> list[int]:
        batches.append(items)
        first_runs.set()
        may_go.wait(10)
        return [-item for item in items]

    async def scenario() -> list[int]:
        batcher = Batcher[int, int](run, maximum=3)
        first = asyncio.create_task(batcher.submit(0))
        await asyncio.to_thread(first_runs.wait, 10)
        others = [asyncio.create_task(batcher.submit(item)) for item in range(1, 6)]
        await asyncio.sleep(0)
        assert not batcher.is_idle
        may_go.set()
        answers = await asyncio.gather(first, *others)
        await batcher.finish()
        assert batcher.is_idle
        return answers

    assert asyncio.run(scenario()) == [0, -1, -2, -3, -4, -5]
    assert batches == [[0], [1, 2, 3], [4, 5]]


def test_one_refusal_does_not_refuse_the_others_of_its_batch() -> None:
    def run(items: list[int]) -> Sequence[int | Exception]:
        return [ValueError(item) if item % 2 else item for item in items]

    async def scenario() -> list[int | BaseException]:
        batcher = Batcher[int, int](run, maximum=10)
        return await asyncio.gather(*(batcher.submit(item) for item in range(4)), return_exceptions=True)

    answers = asyncio.run(scenario())
    assert [isinstance(answer, ValueError) for answer in answers] == [False, True, False, True]


def test_a_batch_that_fails_is_heard_of_by_all_and_the_next_is_served() -> None:
    def run(items: list[str]) -> list[str]:
        if "bad" in items:
            raise OSError("disk")
        return items

    async def scenario() -> None:
        batcher = Batcher[str, str](run, maximum=10)
        answers = await asyncio.gather(batcher.submit("bad"), batcher.submit("good"), return_exceptions=True)
        assert all(isinstance(answer, OSError) for answer in answers)
        assert await batcher.submit("later") == "later"

    asyncio.run(scenario())


def test_whoever_leaves_while_waiting_does_not_disturb_the_others() -> None:
    async def scenario() -> None:
        batcher = Batcher[int, int](lambda items: items, maximum=10)
        leaving, staying = asyncio.create_task(batcher.submit(1)), asyncio.create_task(batcher.submit(2))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying == 2
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert await batcher.submit(3) == 3

    asyncio.run(scenario())
