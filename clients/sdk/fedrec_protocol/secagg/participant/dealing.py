"""Splitting one's secrets among the holders."""

from fedrec_protocol.secagg.blobs import join_entries
from fedrec_protocol.secagg.keys import Entropy, KeyPair, sealing_key
from fedrec_protocol.secagg.messages import Shares
from fedrec_protocol.secagg.participant.held import HeldShares
from fedrec_protocol.secagg.participant.rostered import Place
from fedrec_protocol.secagg.participant.shared import Secrets, Shared
from fedrec_protocol.secagg.participant.terms import Signer
from fedrec_protocol.secagg.sealing import SharePair, seal
from fedrec_protocol.secagg.shamir import split


def deal(place: Place, secrets: Secrets, sign: Signer, entropy: Entropy) -> Shared:
    """Split both secrets and seal each neighbour's pair for it."""
    pairs = _split_both(place, secrets, entropy)
    own_keys = KeyPair(secrets.share_private)
    sealed = {}
    for neighbour in place.neighbours:
        key = sealing_key(own_keys, neighbour.share_key, place.round_id)
        route = place.route(place.position, neighbour.position)
        sealed[neighbour.position] = seal(pairs[neighbour.position], key, route, entropy)
    digests = {holder: pair.digests(place.route(place.position, holder)) for holder, pair in pairs.items()}
    unsigned = Shares(
        roster_hash=place.roster_hash,
        sealed=join_entries(sealed),
        digests=join_entries(digests),
        signature=bytes(64),
    )
    return Shared(
        place=place,
        secrets=secrets,
        own_shares=_own(place, pairs),
        answer=unsigned.model_copy(update={"signature": sign(unsigned.payload(place.round_id))}),
    )


def _own(place: Place, pairs: dict[int, SharePair]) -> tuple[HeldShares, ...]:
    pair = pairs.get(place.position)
    return () if pair is None else (HeldShares(dealer=place.position, seed=pair.seed, mask_key=pair.mask_key),)


def _split_both(place: Place, secrets: Secrets, entropy: Entropy) -> dict[int, SharePair]:
    """A pair of shares for each holder; the holder at position i has the point i + 1."""
    points = [holder + 1 for holder in place.holders]
    seeds = split(secrets.seed, points, place.threshold, entropy)
    mask_keys = split(secrets.mask_private, points, place.threshold, entropy)
    return {holder: SharePair(seeds[holder + 1], mask_keys[holder + 1]) for holder in place.holders}
