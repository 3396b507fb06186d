"""Batches grow where a call takes long."""

import asyncio
import time

from services.kit.batcher import Batcher


def test_after_a_slow_batch_those_who_come_a_moment_later_join_the_next() -> None:
    sizes = []

    def run(items: list[int]) -> list[int]:
        sizes.append(len(items))
        time.sleep(0.08)  # a quarter of it is the longest wait, 20 ms
        return items

    async def scenario() -> None:
        batcher = Batcher[int, int](run, maximum=10)
        await batcher.submit(1)
        first = asyncio.create_task(batcher.submit(2))
        for _ in range(10):  # turns of the loop, of which it would wait one in any case
            await asyncio.sleep(0)
        assert list(await asyncio.gather(first, batcher.submit(3))) == [2, 3]

    asyncio.run(scenario())
    assert sizes == [1, 2]
