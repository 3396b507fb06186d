"""Phase 1: who joins. The server checks adverts and publishes the roster; participants check it again."""

import hashlib
from collections.abc import Iterable, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedrec_protocol.secagg.descriptor import RoundDescriptor
from fedrec_protocol.secagg.encoding import transcript
from fedrec_protocol.secagg.errors import Reason, Rejected, RoundAborted
from fedrec_protocol.secagg.keys import BadKey, require_agreeable, verifies
from fedrec_protocol.secagg.messages import Advert, Roster


def check_advert(advert: Advert, round_id: bytes, registry_key: bytes) -> None:
    """Accept an advert, or say why not.

    Raises:
        Rejected: a certificate or signature that does not verify, or a low-order key.
    """
    if not is_genuine(advert, round_id, registry_key):
        raise Rejected(Reason.BAD_SIGNATURE, "the advert or its certificate does not verify")
    try:
        require_agreeable(advert.mask_key)
        require_agreeable(advert.share_key)
    except BadKey as error:
        raise Rejected(error.reason, str(error)) from error


def is_genuine(advert: Advert, round_id: bytes, registry_key: bytes) -> bool:
    """Whether an enrolled device made this advert for this round."""
    certificate = advert.certificate
    return verifies(registry_key, certificate.signature, certificate.payload()) and verifies(
        certificate.device_key, advert.signature, advert.payload(round_id)
    )


def build_roster(descriptor: RoundDescriptor, adverts: Iterable[Advert], server_key: Ed25519PrivateKey) -> Roster:
    """The roster of checked adverts, in canonical order.

    Raises:
        RoundAborted: too few or too many joined, or two adverts share a key or a device.
    """
    ordered = tuple(sorted(adverts, key=lambda advert: advert.mask_key))
    if not descriptor.minimum_survivors <= len(ordered) <= descriptor.maximum_participants:
        raise RoundAborted(Reason.COHORT_TOO_SMALL, f"{len(ordered)} joined")
    if has_duplicates(ordered):
        raise RoundAborted(Reason.DUPLICATE_KEY, "a key or a device joined twice")
    signature = server_key.sign(roster_hash(descriptor.round_id, ordered))
    return Roster(adverts=ordered, signature=signature)


def has_duplicates(adverts: Sequence[Advert]) -> bool:
    """Whether one key, or one device, stands for two participants."""
    keys = [key for advert in adverts for key in (advert.mask_key, advert.share_key, advert.certificate.device_key)]
    clients = [advert.certificate.client_id for advert in adverts]
    return len(set(keys)) < len(keys) or len(set(clients)) < len(clients)


def roster_hash(round_id: bytes, adverts: Sequence[Advert]) -> bytes:
    """SHA-256 of everything that the adverts say, in order."""
    return hashlib.sha256(
        transcript("fedrec-secagg-1 roster", round_id, *(advert.payload(round_id) for advert in adverts))
    ).digest()
