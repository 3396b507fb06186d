"""Who shares masks and secrets with whom."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

from fedrec_protocol.secagg.descriptor import COMPLETE_GRAPH_LIMIT, RoundDescriptor
from fedrec_protocol.secagg.encoding import transcript


@dataclass(frozen=True)
class Graph:
    """The neighbours of every roster position, and the threshold t of shares that recover a secret.

    In the complete graph everybody holds a share of its own secrets too, as in Bonawitz et al.: t counts all.
    On a ring only the neighbours do, as in Bell et al.: one more share would weaken the threshold there.
    """

    size: int
    threshold: int
    ring: tuple[int, ...] | None
    """Positions in ring order; None for the complete graph."""
    degree: int

    def neighbours(self, position: int) -> tuple[int, ...]:
        """The other participants that `position` shares masks and secrets with, ascending."""
        return self._neighbourhoods[position]

    def holders(self, position: int) -> tuple[int, ...]:
        """Who holds shares of the secrets of `position`, ascending; the relation is symmetric."""
        return self._neighbourhoods[position] if self.ring else self._everybody

    @cached_property
    def _everybody(self) -> tuple[int, ...]:
        return tuple(range(self.size))

    @cached_property
    def _neighbourhoods(self) -> dict[int, tuple[int, ...]]:
        if self.ring is None:
            return {position: tuple(o for o in self._everybody if o != position) for position in self._everybody}
        half = self.degree // 2
        offsets = (*range(-half, 0), *range(1, half + 1))
        return {
            position: tuple(sorted(self.ring[(place + offset) % self.size] for offset in offsets))
            for place, position in enumerate(self.ring)
        }


def round_graph(descriptor: RoundDescriptor, size: int, roster_hash: bytes) -> Graph:
    """The graph of a roster of `size`: complete up to 128 with t = floor(2 size / 3) + 1, a ring above.

    The ring's order is a hash of the whole roster, which an operator does not choose freely: it can only
    try rosters. Bell et al. 2020, section 3, https://eprint.iacr.org/2020/704.
    """
    ring = descriptor.ring
    if size <= COMPLETE_GRAPH_LIMIT or ring is None or size <= ring.degree + 1:
        return Graph(size, 2 * size // 3 + 1, None, size - 1)
    order = sorted(range(size), key=lambda position: _draw(roster_hash, position))
    return Graph(size, ring.threshold, tuple(order), ring.degree)


def _draw(roster_hash: bytes, position: int) -> bytes:
    return hashlib.sha256(transcript("fedrec-secagg-1 ring", roster_hash, position)).digest()
