"""Phase 2: shares are accepted, and each participant fetches those that were sealed for it."""

from collections.abc import Mapping

from fedrec_protocol.secagg.bitmap import encode_bitmap
from fedrec_protocol.secagg.blobs import entry_of, join_entries, split_entries
from fedrec_protocol.secagg.errors import Reason, Rejected, RoundAborted
from fedrec_protocol.secagg.keys import verifies
from fedrec_protocol.secagg.messages import DIGEST_BYTES, SEALED_BYTES, Inbox, Shares
from fedrec_protocol.secagg.server.context import RosteredRound


def check_shares(rostered: RosteredRound, dealer: int, shares: Shares) -> None:
    """Accept a participant's shares, or say why not.

    Raises:
        Rejected: another roster, lengths that do not fit, or a signature that does not verify.
    """
    if shares.roster_hash != rostered.roster_hash:
        raise Rejected(Reason.WRONG_ROSTER, "these shares are for another roster")
    if not verifies(rostered.device_key(dealer), shares.signature, shares.payload(rostered.round_id)):
        raise Rejected(Reason.BAD_SIGNATURE, "the shares are not signed by their dealer")
    try:
        split_entries(shares.sealed, rostered.graph.neighbours(dealer), SEALED_BYTES)
        split_entries(shares.digests, rostered.graph.holders(dealer), 2 * DIGEST_BYTES)
    except ValueError as error:
        raise Rejected(Reason.MALFORMED, str(error)) from error


def freeze_sharers(rostered: RosteredRound, sharers: frozenset[int]) -> bytes:
    """The bitmap of those whose shares were accepted.

    Raises:
        RoundAborted: fewer than the floor of survivors are left.
    """
    if len(sharers) < rostered.descriptor.minimum_survivors:
        raise RoundAborted(Reason.COHORT_TOO_SMALL, f"{len(sharers)} shared")
    return encode_bitmap(sharers, rostered.size)


def inbox_of(rostered: RosteredRound, holder: int, shares: Mapping[int, Shares]) -> Inbox:
    """What the neighbours of `holder` sealed for it, from everybody's accepted shares by position."""
    graph = rostered.graph
    sealed = {
        dealer: entry_of(shares[dealer].sealed, graph.neighbours(dealer), holder, SEALED_BYTES)
        for dealer in graph.neighbours(holder)
        if dealer in shares
    }
    return Inbox(sharers=encode_bitmap(shares, rostered.size), sealed=join_entries(sealed))
