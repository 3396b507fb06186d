"""Who is answered together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from services.kit.batcher import Batcher


def test_requests_that_arrive_while_a_batch_is_worked_on_share_the_next_one() -> None:
    batches: list[list[int]] = []
    first_runs, may_go = threading.Event(), threading.Event()

    def run(items: list[int]) -> list[int]:
        batches.append(items)
        first_runs.set()
        may_go.wait(60)
        return [-item for item in items]

    async def scenario() -> list[int]:
        batcher = Batcher[int, int](run, maximum=3)
        first = asyncio.create_task(batcher.submit(0))
        await asyncio.to_thread(first_runs.wait, 60)
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
