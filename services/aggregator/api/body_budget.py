"""Room for the bodies of reports: bounded, given in order of arrival, and not for those who let others wait."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.aggregator.domain.errors import BodyTimeout, Overloaded

_LOOK_SECONDS = 1.0


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


class Room:
    """Memory that one body holds, and how much of the body is there.

    Attributes:
        received_bytes: Set by whoever reads the body.
    """

    def __init__(self, size_bytes: int, pace: Pace) -> None:
        self.size_bytes = size_bytes
        self.received_bytes = 0
        self._pace = pace
        self._since = asyncio.get_running_loop().time()
        self._timeout: asyncio.Timeout | None = None
        self._gave_way = False

    @asynccontextmanager
    async def arriving(self) -> AsyncIterator[None]:
        """While the body is read: ends the reading when it is too slow.

        Raises:
            BodyTimeout: slower than anybody may be.
            Overloaded: slower than one may be while others wait.
        """
        try:
            async with asyncio.timeout_at(self._deadline) as self._timeout:
                yield
        except TimeoutError as error:
            if self._gave_way:
                raise Overloaded("others wait, and your report arrives too slowly: send it again later") from error
            arrived = f"{self.received_bytes} of {self.size_bytes} bytes arrived"
            raise BodyTimeout(f"{arrived} in {self._seconds:.1f} s: that is too slow") from error
        finally:
            self._timeout = None

    def note(self, received_bytes: int) -> None:
        """More of the body has arrived."""
        self.received_bytes += received_bytes
        if self._timeout is not None and not self._gave_way:
            self._timeout.reschedule(self._deadline)

    @property
    def rate(self) -> float:
        """Bytes a second so far."""
        return self.received_bytes / max(self._seconds, 1e-9)

    @property
    def is_slow(self) -> bool:
        """Whether it should give way to those who wait."""
        is_arriving = self._timeout is not None and not self._gave_way
        return is_arriving and self._seconds > self._pace.grace_seconds and self.rate < self._pace.contended_rate

    def give_way(self) -> None:
        """Stop the reading of this body."""
        if self._timeout is not None:
            self._gave_way = True
            self._timeout.reschedule(asyncio.get_running_loop().time())

    @property
    def _seconds(self) -> float:
        return asyncio.get_running_loop().time() - self._since

    @property
    def _deadline(self) -> float:
        at_least_rate = self._pace.grace_seconds + self.received_bytes / self._pace.least_rate
        return self._since + min(self._pace.longest_seconds, at_least_rate)


class BodyBudget:
    """Bounds the bytes of bodies held at a time. Whoever finds no room waits unread, in order of arrival."""

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

    @asynccontextmanager
    async def reserve(self, size_bytes: int) -> AsyncIterator[Room]:
        """Hold room for a body of at most the whole budget.

        Raises:
            Overloaded: the queue is too long, or its patience is over.
        """
        await self._take(size_bytes)
        room = Room(size_bytes, self._pace)
        self._held.add(room)
        try:
            yield room
        finally:
            self._held.discard(room)
            self._free += size_bytes
            self._admit()

    async def _take(self, size: int) -> None:
        if not self._queue and size <= self._free:
            self._free -= size
            return
        if len(self._queue) >= self._longest_queue:
            raise Overloaded("too many reports are arriving at this process")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((size, turn))
        self._look_later()
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
            self._look = asyncio.get_running_loop().call_later(self._look_seconds, self._let_the_slowest_give_way)

    def _let_the_slowest_give_way(self) -> None:
        """One at a time: the room of one may be enough for all who wait."""
        self._look = None
        if not self._queue:
            return
        slow = [room for room in self._held if room.is_slow]
        if slow:
            min(slow, key=lambda room: room.rate).give_way()
        self._look_later()
