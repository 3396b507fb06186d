"""Phase 5: revealed shares are compared with the digests that their dealers signed."""

from collections.abc import Mapping
from dataclasses import dataclass

from fedrec_protocol.secagg.blobs import entry_of, split_entries
from fedrec_protocol.secagg.errors import Reason, Rejected
from fedrec_protocol.secagg.keys import verifies
from fedrec_protocol.secagg.messages import DIGEST_BYTES, NO_SHARE, Reveal, Shares
from fedrec_protocol.secagg.sealing import Route, share_digest
from fedrec_protocol.secagg.server.context import RosteredRound
from fedrec_protocol.secagg.shamir import SHARE_BYTES


@dataclass(frozen=True)
class Sets:
    """The two frozen sets of a round."""

    sharers: frozenset[int]
    survivors: frozenset[int]
    bitmap: bytes
    """The survivors as they were published."""


@dataclass(frozen=True)
class CheckedReveal:
    """One holder's shares after comparison with the digests."""

    holder: int
    shares: dict[int, bytes]
    """Shares by dealer that are what the dealer signed."""
    mismatched: tuple[int, ...]
    """Dealers whose share is missing or is not what the dealer signed: the holder or the dealer lies."""


def check_reveal(
    rostered: RosteredRound, holder: int, reveal: Reveal, sets: Sets, shares: Mapping[int, Shares]
) -> CheckedReveal:
    """Accept a participant's revealed shares; one that does not match its digest is dropped.

    Raises:
        Rejected: not a survivor, a bad signature, or a wrong number of shares.
    """
    if holder not in sets.survivors:
        raise Rejected(Reason.NOT_A_SURVIVOR, "only survivors reveal")
    payload = reveal.payload(rostered.round_id, rostered.roster_hash, sets.bitmap)
    if not verifies(rostered.device_key(holder), reveal.signature, payload):
        raise Rejected(Reason.BAD_SIGNATURE, "the shares are not signed by their holder for these survivors")
    dealers = frozenset(rostered.graph.holders(holder)) & sets.sharers
    try:
        revealed = split_entries(reveal.shares, dealers, SHARE_BYTES)
    except ValueError as error:
        raise Rejected(Reason.MALFORMED, str(error)) from error
    genuine = {}
    for dealer, share in revealed.items():
        route, holders = rostered.route(dealer, holder), rostered.graph.holders(dealer)
        if share != NO_SHARE and _matches(share, shares[dealer], route, sets, holders):
            genuine[dealer] = share
    return CheckedReveal(holder, genuine, tuple(sorted(dealers - genuine.keys())))


def _matches(share: bytes, committed: Shares, route: Route, sets: Sets, holders: tuple[int, ...]) -> bool:
    digests = entry_of(committed.digests, holders, route.holder, 2 * DIGEST_BYTES)
    if route.dealer in sets.survivors:
        return share_digest("seed", share, route) == digests[:DIGEST_BYTES]
    return share_digest("mask key", share, route) == digests[DIGEST_BYTES:]
