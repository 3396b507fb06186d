"""What a participant keeps of a roster: the round, its own place, and its neighbours."""

from functools import cached_property

from fedrec_protocol.base import Message
from fedrec_protocol.secagg.bitmap import decode_bitmap
from fedrec_protocol.secagg.descriptor import RoundDescriptor
from fedrec_protocol.secagg.encoding import Bytes32
from fedrec_protocol.secagg.errors import Reason, Refused
from fedrec_protocol.secagg.sealing import Route


class Neighbour(Message):
    """A participant with whom one shares a mask."""

    position: int
    """Its index on the roster."""
    mask_key: Bytes32
    """Its X25519 key for masks."""
    share_key: Bytes32
    """Its X25519 key for shares."""
    device_key: Bytes32
    """Its Ed25519 key."""


class Place(Message):
    """One participant's place in one round, after the roster."""

    descriptor: RoundDescriptor
    """The round."""
    roster_hash: Bytes32
    """The roster that was answered."""
    roster_size: int
    """Number of participants on it."""
    threshold: int
    """Shares that recover a secret, t."""
    position: int
    """One's own index on the roster."""
    neighbours: tuple[Neighbour, ...]
    """Ascending by position."""
    holders: tuple[int, ...]
    """Positions of those who hold one's shares, and whose shares one holds; with oneself in a complete graph."""
    server_key: Bytes32
    """The aggregator's Ed25519 key."""

    @property
    def round_id(self) -> bytes:
        """The round."""
        return self.descriptor.round_id

    @cached_property
    def neighbour_positions(self) -> frozenset[int]:
        """Positions of the neighbours."""
        return frozenset(neighbour.position for neighbour in self.neighbours)

    @property
    def is_own_holder(self) -> bool:
        """Whether one holds shares of one's own secrets."""
        return self.position in self.holders

    def route(self, dealer: int, holder: int) -> Route:
        """What a share between these two is bound to."""
        return Route(self.round_id, self.roster_hash, dealer, holder)

    def read_set(self, bitmap: bytes) -> frozenset[int]:
        """A set of roster positions.

        Raises:
            Refused: not a bitmap of this roster.
        """
        try:
            return decode_bitmap(bitmap, self.roster_size)
        except ValueError as error:
            raise Refused(Reason.MALFORMED, str(error)) from error

    def require_cohort(self, positions: frozenset[int]) -> None:
        """Refuse a set that is too small to hide in, or without oneself.

        Raises:
            Refused: fewer than the floor of participants, or not oneself.
        """
        floor = self.descriptor.minimum_survivors
        if len(positions) < floor:
            raise Refused(Reason.COHORT_TOO_SMALL, f"{len(positions)} of at least {floor}")
        if self.position not in positions:
            raise Refused(Reason.NOT_A_SURVIVOR, "the set is without oneself")

    def require_threshold(self, count: int, what: str) -> None:
        """Refuse to go on with fewer than t of the holders.

        Raises:
            Refused: fewer than t.
        """
        if count < self.threshold:
            raise Refused(Reason.BELOW_THRESHOLD, f"{count} {what} of at least {self.threshold}")
