"""Check-ins that are held until there is work: a bounded number, and one for each participant."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

_AT_ONCE = 250
"""Who wait look again so many at a time: those who come meanwhile would wait for thousands."""


class Place:
    """Where one check-in waits.

    Attributes:
        is_given_up: Whether it should be answered now instead of waiting any longer.
    """

    def __init__(self) -> None:
        self.is_given_up = False
        self._woken = asyncio.Event()
        self._has_changed = False

    def look_up(self) -> None:
        """Begin to notice changes: those from now on end the next wait."""
        self._has_changed = False
        self._woken.clear()

    async def wait(self, seconds: float) -> bool:
        """Wait for a change, at most so long; returns whether there was one."""
        # A timer that wakes is cheaper than a timeout that cancels, and there are thousands.
        over = asyncio.get_running_loop().call_later(seconds, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            over.cancel()
        return self._has_changed

    def wake(self) -> None:
        """Something has changed."""
        self._has_changed = True
        self._woken.set()

    def give_up(self) -> None:
        """Somebody needs this place more, or nobody may wait any longer."""
        self.is_given_up = True
        self.wake()


class WaitingRoom:
    """The places of one process."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._places: dict[str, dict[str, Place]] = {}
        self._is_closed = False

    @contextlib.contextmanager
    def place(self, task_id: str, client_id: str) -> Iterator[Place]:
        """A place for one check-in; it is given up from the beginning where there is none.

        A participant that asks again takes its old place over: its first request may wait at a connection that is
        long broken, and nobody may fill the room alone.
        """
        places = self._places.setdefault(task_id, {})
        older = places.get(client_id)
        if older is not None:
            older.give_up()
        place = Place()
        if self._is_closed or self._free <= 0:
            place.is_given_up = True
        self._free -= 1
        places[client_id] = place
        try:
            yield place
        finally:
            self._free += 1
            if places.get(client_id) is place:
                del places[client_id]

    def wake(self, task_id: str | None) -> None:
        """Let those look again who wait for a task, or for any."""
        tasks = list(self._places) if task_id is None else [task_id]
        self._wake([place for task in tasks for place in self._places.get(task, {}).values()])

    def _wake(self, places: Sequence[Place]) -> None:
        for place in places[:_AT_ONCE]:
            place.wake()
        if len(places) > _AT_ONCE:
            asyncio.get_running_loop().call_soon(self._wake, places[_AT_ONCE:])

    def close(self) -> None:
        """Nobody may wait any longer."""
        self._is_closed = True
        for places in self._places.values():
            for place in places.values():
                place.give_up()
