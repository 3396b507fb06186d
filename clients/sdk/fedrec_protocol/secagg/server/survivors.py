"""Phases 3 and 4: the set of reports in the sum is frozen, published and agreed on."""

from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedrec_protocol.secagg.bitmap import encode_bitmap
from fedrec_protocol.secagg.blobs import join_entries
from fedrec_protocol.secagg.errors import Reason, Rejected, RoundAborted
from fedrec_protocol.secagg.keys import verifies
from fedrec_protocol.secagg.messages import (
    Acknowledgement,
    Acknowledgements,
    Survivors,
    acknowledgement_payload,
    survivors_payload,
)
from fedrec_protocol.secagg.server.context import RosteredRound


def freeze_survivors(
    rostered: RosteredRound, sharers: frozenset[int], reporters: frozenset[int], server_key: Ed25519PrivateKey
) -> Survivors:
    """The signed set of those whose masked reports were folded.

    Raises:
        RoundAborted: fewer than the floor, or somebody reported without having shared.
    """
    if not reporters <= sharers:
        raise RoundAborted(Reason.INCONSISTENT_SETS, "a report of somebody who never shared was folded")
    if len(reporters) < rostered.descriptor.minimum_survivors:
        raise RoundAborted(Reason.COHORT_TOO_SMALL, f"{len(reporters)} reported")
    bitmap = encode_bitmap(reporters, rostered.size)
    signature = server_key.sign(survivors_payload(rostered.round_id, rostered.roster_hash, bitmap))
    return Survivors(survivors=bitmap, signature=signature)


def check_acknowledgement(
    rostered: RosteredRound, signer: int, acknowledgement: Acknowledgement, survivors: bytes
) -> None:
    """Accept a participant's agreement on the survivors, or say why not.

    Raises:
        Rejected: not a survivor, or a signature over something else.
    """
    if signer not in rostered.read_set(survivors):
        raise Rejected(Reason.NOT_A_SURVIVOR, "only survivors acknowledge")
    payload = acknowledgement_payload(rostered.round_id, rostered.roster_hash, survivors)
    if not verifies(rostered.device_key(signer), acknowledgement.signature, payload):
        raise Rejected(Reason.BAD_SIGNATURE, "the acknowledgement is of another set")


def acknowledgements_for(
    rostered: RosteredRound, position: int, accepted: Mapping[int, Acknowledgement]
) -> Acknowledgements:
    """What the neighbours of `position` signed, from everybody's accepted acknowledgements."""
    signatures = {
        neighbour: accepted[neighbour].signature
        for neighbour in rostered.graph.neighbours(position)
        if neighbour in accepted
    }
    return Acknowledgements(signers=encode_bitmap(signatures, rostered.size), signatures=join_entries(signatures))
