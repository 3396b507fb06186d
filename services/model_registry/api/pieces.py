"""Pieces of weights in memory: a round's participants all download the same file."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from starlette.concurrency import run_in_threadpool

from services.model_registry.domain.errors import Overloaded

PIECE_BYTES = 256 * 1024
"""What a slow client can make us hold, next to the pieces that all clients share."""

Piece = tuple[str, int]
"""Key of an object, number of the piece in it."""


class Pieces:
    """The pieces read last, up to a number of bytes. Belongs to one event loop."""

    def __init__(self, read: Callable[[str, int, int], bytes], capacity_bytes: int) -> None:
        """`read` gives the bytes of an object from a start to an end; it is called in a thread."""
        self._read = read
        self._capacity = capacity_bytes // PIECE_BYTES
        self._held: OrderedDict[Piece, bytes] = OrderedDict()
        self._arriving: dict[Piece, asyncio.Task[bytes]] = {}

    async def range(self, key: str, start: int, end: int) -> AsyncIterator[bytes | memoryview]:
        """The bytes of an object from `start` to `end`, in pieces; no database connection is held between them."""
        for number in range(start // PIECE_BYTES, -(-end // PIECE_BYTES)):
            offset = number * PIECE_BYTES
            piece = await self._piece((key, number))
            first, last = max(start - offset, 0), min(end - offset, len(piece))
            yield piece if last - first == len(piece) else memoryview(piece)[first:last]

    async def settle(self) -> None:
        """Wait for pieces that are still read, perhaps for somebody who has left: each holds a connection."""
        await asyncio.gather(*self._arriving.values(), return_exceptions=True)

    async def _piece(self, wanted: Piece) -> bytes:
        held = self._held.get(wanted)
        if held is not None:
            self._held.move_to_end(wanted)
            return held
        if wanted not in self._arriving:
            self._arriving[wanted] = asyncio.create_task(self._fetch(wanted))
        # Others may be waiting for the same piece: somebody who leaves does not take it with them.
        return await asyncio.shield(self._arriving[wanted])

    async def _fetch(self, wanted: Piece) -> bytes:
        key, number = wanted
        try:
            piece = await run_in_threadpool(self._read, key, number * PIECE_BYTES, (number + 1) * PIECE_BYTES)
        finally:
            del self._arriving[wanted]
        self._held[wanted] = piece
        while len(self._held) > self._capacity:
            self._held.popitem(last=False)
        return piece


class Places:
    """Bounds how many downloads are served at a time. Belongs to one event loop."""

    def __init__(self, count: int) -> None:
        self.free = count

    @contextmanager
    def one(self) -> Iterator[None]:
        """Take a place for as long as the block lasts.

        Raises:
            Overloaded: there is none.
        """
        if self.free == 0:
            raise Overloaded("too many downloads at this process")
        self.free -= 1
        try:
            yield
        finally:
            self.free += 1
