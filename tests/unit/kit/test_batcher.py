"""Batches grow where a call takes long."""

import asyncio
import time
import weakref

import pytest

from services.kit.batcher import Batcher
from tests import virtual_time


def test_after_a_slow_batch_those_who_come_a_moment_later_join_the_next() -> None:
    sizes = []

    def run(items: list[int]) -> list[int]:
        sizes.append(len(items))
        time.sleep(0.01)  # a quarter of it is the wait, which is over when nobody has another turn to take
        return items

    async def scenario() -> None:
        batcher = Batcher[int, int](run, maximum=10)
        await batcher.submit(1)
        first = asyncio.create_task(batcher.submit(2))
        for _ in range(10):  # turns of the loop, of which it would wait one in any case
            await asyncio.sleep(0)
        assert list(await asyncio.gather(first, batcher.submit(3))) == [2, 3]

    virtual_time.run(scenario())
    assert sizes == [1, 2]


def test_a_batch_that_nobody_can_join_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.kit.batcher._GATHER_FRACTION", 1e9)
    monkeypatch.setattr("services.kit.batcher._LONGEST_GATHER_SECONDS", 600.0)
    sizes = []

    def run(items: list[int]) -> list[int]:
        sizes.append(len(items))
        return items

    async def scenario() -> None:
        batcher = Batcher[int, int](run, maximum=10, is_complete=lambda count: count == 2)
        await batcher.submit(1)
        async with asyncio.timeout(120):  # less than a batch waits for others who may come
            await asyncio.gather(batcher.submit(2), batcher.submit(3))  # complete before it gathers
            first = asyncio.create_task(batcher.submit(4))
            await asyncio.sleep(0.01)
            await asyncio.gather(first, batcher.submit(5))  # complete while it gathers

    asyncio.run(scenario())
    assert sizes == [1, 2, 2]


class Body:
    """Something large that a batch holds."""


def test_a_batch_is_let_go_of_while_the_next_one_gathers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.kit.batcher._GATHER_FRACTION", 1e9)
    monkeypatch.setattr("services.kit.batcher._LONGEST_GATHER_SECONDS", 600.0)

    async def scenario() -> None:
        batcher = Batcher[Body, int](lambda bodies: [0] * len(bodies), maximum=1)
        body = Body()
        known = weakref.ref(body)
        first, second = (asyncio.create_task(batcher.submit(each)) for each in (body, Body()))
        del body
        await first
        del first
        deadline = time.monotonic() + 60  # the thread that worked on it lets go a moment later
        while known() is not None and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        assert known() is None
        assert not second.done()

    asyncio.run(scenario())
