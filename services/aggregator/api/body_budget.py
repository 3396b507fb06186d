"""Room for the bodies of reports: bounded, given in order of arrival, and not for those who let others wait."""

import asyncio
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

from services.aggregator.domain.errors import BodyTimeout, Overloaded

T = TypeVar("T")

_LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Pace:
    """How fast a body has to arrive."""

    longest_seconds: float = 120.0
    """For the whole body."""
    grace_seconds: float = 10.0
    """The rates count from here on."""
    least_rate: float = 16 * 1024
    """Bytes a second, always."""
    contended_rate: float = 256 * 1024
    """Bytes a second, while others wait for room."""


class BodyBudget:
    """Bounds the bytes of bodies held at a time. Whoever finds no room waits unread, in order of arrival.

    While any are held, it looks now and then for those that arrive too slowly: a timer for each body, moved with
    each of its parts, takes longer than reading a small one.
    """

    def __init__(
        self,
        total_bytes: int,
        pace: Pace | None = None,
        *,
        longest_queue: int = 2000,
        patience_seconds: float = 30.0,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._pace = pace or Pace()
        self._free = total_bytes
        self._total = total_bytes
        self._held: set[Room] = set()
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._longest_queue = longest_queue
        self._patience = patience_seconds
        self._look_seconds = look_seconds
        self._look: asyncio.TimerHandle | None = None

    def grow_to(self, total_bytes: int) -> None:
        """Make room for at least this much: a body that is larger than the budget would wait for ever."""
        if total_bytes > self._total:
            self._free += total_bytes - self._total
            self._total = total_bytes

    def reserve(self, size_bytes: int) -> "Room":
        """Room for a body of at most the whole budget, to be entered with `async with`."""
        return Room(self, size_bytes, self._pace)

    def is_held_by(self, count: int) -> bool:
        """Whether so many bodies have all the room, and others wait for theirs."""
        return bool(self._queue) and len(self._held) <= count

    async def take(self, room: "Room") -> None:
        """Hold room.

        Raises:
            Overloaded: the queue is too long, or its patience is over.
        """
        if self._queue or room.size_bytes > self._free:
            await self._wait(room.size_bytes)
        else:
            self._free -= room.size_bytes
        self._held.add(room)
        self._look_later()

    def give_back(self, room: "Room") -> None:
        """Let others have the room."""
        self._held.discard(room)
        self._free += room.size_bytes
        self._admit()

    async def _wait(self, size: int) -> None:
        if len(self._queue) >= self._longest_queue:
            raise Overloaded("too many reports are arriving at this process")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((size, turn))
        try:
            await asyncio.wait_for(asyncio.shield(turn), self._patience)
        except (TimeoutError, asyncio.CancelledError) as error:
            if turn.done():
                self._free += size
                self._admit()
            else:
                turn.cancel()
                self._queue = deque(entry for entry in self._queue if entry[1] is not turn)
                self._admit()
            if isinstance(error, TimeoutError):
                raise Overloaded("too many reports are arriving at this process") from error
            raise

    def _admit(self) -> None:
        while self._queue and self._queue[0][0] <= self._free:
            size, turn = self._queue.popleft()
            self._free -= size
            turn.set_result(None)

    def _look_later(self) -> None:
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(self._look_seconds, self._stop_the_slow)

    def _stop_the_slow(self) -> None:
        self._look = None
        if not self._held:
            return
        now = asyncio.get_running_loop().time()
        for room in [room for room in self._held if room.is_late(now)]:
            arrived = f"{room.received_bytes} of {room.size_bytes} bytes arrived in {now - room.since:.1f} s"
            room.stop(BodyTimeout(f"{arrived}: that is too slow"))
        # One at a time: the room of one may be enough for all who wait.
        slow = [room for room in self._held if self._queue and room.is_slow(now)]
        if slow:
            slowest = min(slow, key=lambda room: room.rate(now))
            slowest.stop(Overloaded("others wait, and your report arrives too slowly: send it again later"))
        self._look_later()


class Room:
    """Memory that one body holds, and how much of the body is there.

    Attributes:
        received_bytes: Counted by whoever reads the body.
        since: When the room was taken, in the event loop's time.
    """

    def __init__(self, budget: BodyBudget, size_bytes: int, pace: Pace) -> None:
        self.size_bytes = size_bytes
        self.received_bytes = 0
        self.since = 0.0
        self._budget = budget
        self._pace = pace
        self._reader: asyncio.Task[Any] | None = None
        self._refusal: BodyTimeout | Overloaded | None = None

    async def __aenter__(self) -> "Room":
        await self._budget.take(self)
        self.since = asyncio.get_running_loop().time()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.give_back(self)

    async def fill(self, reading: Awaitable[T]) -> T:
        """Wait for the reading of the body, which is ended when it is too slow.

        Raises:
            BodyTimeout: slower than anybody may be.
            Overloaded: slower than one may be while others wait.
        """
        self._reader = reader = asyncio.current_task()
        try:
            return await reading
        except asyncio.CancelledError as error:
            if self._refusal is None or reader is None or reader.uncancel() > 0:
                raise  # somebody else's doing
            raise self._refusal from error
        finally:
            self._reader = None

    def rate(self, now: float) -> float:
        """Bytes a second so far."""
        return self.received_bytes / max(now - self.since, 1e-9)

    def is_late(self, now: float) -> bool:
        """Whether it is slower than anybody may be."""
        at_least_rate = self._pace.grace_seconds + self.received_bytes / self._pace.least_rate
        return self._is_arriving and now - self.since > min(self._pace.longest_seconds, at_least_rate)

    def is_slow(self, now: float) -> bool:
        """Whether it should give way to those who wait."""
        is_past_grace = now - self.since > self._pace.grace_seconds
        return self._is_arriving and is_past_grace and self.rate(now) < self._pace.contended_rate

    def stop(self, refusal: BodyTimeout | Overloaded) -> None:
        """Stop the reading of this body."""
        if self._reader is not None:
            self._refusal = refusal
            self._reader.cancel()

    @property
    def _is_arriving(self) -> bool:
        return self._reader is not None and self._refusal is None
