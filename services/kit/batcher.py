"""Group commit: many requests, one transaction.

While one batch is being worked on, the requests that arrive meanwhile gather for the next. An idle
service answers at once; a busy one makes its batches larger instead of its queue longer. Where a
transaction takes long, it pays to let a few more join: a batch waits for a fraction of what the last one
took, as Postgres's own `commit_delay` does, unless it is known that nobody can join.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_GATHER_FRACTION = 0.25
_LONGEST_GATHER_SECONDS = 0.02


class Batcher(Generic[T, R]):
    """Calls a blocking function, in a thread, with all items that have gathered since its last call."""

    def __init__(
        self,
        run: Callable[[list[T]], Sequence[R | Exception]],
        *,
        maximum: int,
        gather_seconds: float = 0.0,
        is_complete: Callable[[int], bool] = lambda _: False,
    ) -> None:
        """Gather for a function.

        Args:
            run: Returns one result, or exception, for each item in order.
            maximum: Items at most in one call.
            gather_seconds: How long the first batch waits: what a batcher of the same kind came to.
            is_complete: Whether nobody can join so many who wait.
        """
        self._run = run
        self._maximum = maximum
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._is_complete = is_complete
        self._everybody_is_here = asyncio.Event()
        self.gather_seconds = gather_seconds

    async def submit(self, item: T) -> R:
        """The result for this item; raises the exception that `run` returned or raised."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._is_complete(len(self._waiting)):
            self._everybody_is_here.set()
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await future

    @property
    def is_idle(self) -> bool:
        """Whether nothing is waiting or being worked on."""
        return self._worker is None and not self._waiting

    async def finish(self) -> None:
        """Wait until nothing is waiting: part of shutting down."""
        if self._worker is not None:
            await self._worker

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                # Without a name: a variable would keep the batch, with its bodies, until the next one has gathered.
                await self._answer([self._waiting.popleft() for _ in range(min(self._maximum, len(self._waiting)))])
        finally:
            self._worker = None

    async def _gather(self) -> None:
        """Let others join; without a wait, those who are ready now."""
        self._everybody_is_here.clear()
        if self.gather_seconds == 0 or self._is_complete(len(self._waiting)):
            await asyncio.sleep(0)
            return
        over = asyncio.get_running_loop().call_later(self.gather_seconds, self._everybody_is_here.set)
        await self._everybody_is_here.wait()
        over.cancel()

    async def _answer(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        results: Sequence[R | Exception]
        started = time.monotonic()
        try:
            results = await asyncio.to_thread(self._run, [item for item, _ in batch])
        except Exception as error:  # every one who waits must hear of it
            results = [error] * len(batch)
        self.gather_seconds = min(_GATHER_FRACTION * (time.monotonic() - started), _LONGEST_GATHER_SECONDS)
        for (_, future), result in zip(batch, results, strict=True):
            if future.cancelled():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
