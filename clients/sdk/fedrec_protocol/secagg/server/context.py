"""A round once its roster is frozen: what every later phase of the server looks up."""

from dataclasses import dataclass
from functools import cached_property

from fedrec_protocol.secagg.bitmap import decode_bitmap
from fedrec_protocol.secagg.descriptor import RoundDescriptor
from fedrec_protocol.secagg.errors import Reason, Rejected
from fedrec_protocol.secagg.graph import Graph, round_graph
from fedrec_protocol.secagg.messages import Advert
from fedrec_protocol.secagg.roster import roster_hash
from fedrec_protocol.secagg.sealing import Route


@dataclass(frozen=True)
class RosteredRound:
    """A round's descriptor and its roster, in canonical order."""

    descriptor: RoundDescriptor
    adverts: tuple[Advert, ...]

    @property
    def round_id(self) -> bytes:
        """The round."""
        return self.descriptor.round_id

    @property
    def size(self) -> int:
        """Participants on the roster."""
        return len(self.adverts)

    @cached_property
    def roster_hash(self) -> bytes:
        """What participants sign as the roster they saw."""
        return roster_hash(self.round_id, self.adverts)

    @cached_property
    def graph(self) -> Graph:
        """Neighbours and threshold."""
        return round_graph(self.descriptor, self.size, self.roster_hash)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {advert.certificate.client_id: position for position, advert in enumerate(self.adverts)}

    def position_of(self, client_id: str) -> int:
        """A client's position.

        Raises:
            Rejected: not on the roster.
        """
        if client_id not in self._positions:
            raise Rejected(Reason.WRONG_ROSTER, "this client is not on the roster")
        return self._positions[client_id]

    def device_key(self, position: int) -> bytes:
        """The Ed25519 key of the device at a position."""
        return self.adverts[position].certificate.device_key

    def route(self, dealer: int, holder: int) -> Route:
        """What a share between these two is bound to."""
        return Route(self.round_id, self.roster_hash, dealer, holder)

    def read_set(self, bitmap: bytes) -> frozenset[int]:
        """A set of roster positions that this server published."""
        return decode_bitmap(bitmap, self.size)
