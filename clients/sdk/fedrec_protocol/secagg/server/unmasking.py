"""The end of a round: secrets are recovered from shares, and their masks taken off the sum."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.secagg.errors import Reason, RoundAborted
from fedrec_protocol.secagg.grid import Grid, to_signed
from fedrec_protocol.secagg.keys import KeyPair, pair_mask_key, seed_commitment, seed_mask_key
from fedrec_protocol.secagg.masks import Mask, apply_masks
from fedrec_protocol.secagg.server.context import RosteredRound
from fedrec_protocol.secagg.server.reveals import CheckedReveal, Sets
from fedrec_protocol.secagg.shamir import recover


def recover_masks(rostered: RosteredRound, sets: Sets, reveals: Iterable[CheckedReveal]) -> list[Mask]:
    """The masks that are left on the sum, with the signs that take them off.

    That is every survivor's own mask, and for each sharer who dropped out the masks that its surviving
    neighbours put on for it.

    Raises:
        RoundAborted: `below-threshold` when somebody's secret has too few genuine shares; `poisoned-dealer`
            when enough shares, each as its dealer signed it, do not give the secret that it committed to, or
            when t holders answered and fewer than t had from it what it signed.
    """
    secrets = _recover_secrets(rostered, sets, list(reveals))
    masks = []
    for dealer, secret in secrets.items():
        if dealer in sets.survivors:
            masks.append(Mask(seed_mask_key(secret, rostered.round_id), is_added=False))
        else:
            masks += _pair_masks(rostered, sets, dealer, KeyPair(secret))
    return masks


def unmask(total: NDArray[Any], masks: list[Mask], grid: Grid) -> NDArray[np.int64]:
    """The sum of the survivors' vectors, int64, from the sum of their masked reports modulo 2**b (or 2**64)."""
    words = total.astype(grid.word)
    apply_masks(words, masks)
    return to_signed(words, grid.modulus_bits)


def _pair_masks(rostered: RosteredRound, sets: Sets, dropped: int, pair: KeyPair) -> list[Mask]:
    # A neighbour with the smaller position added the mask, so here it is subtracted, and the other way round.
    return [
        Mask(pair_mask_key(pair, rostered.adverts[other].mask_key, rostered.round_id), is_added=other > dropped)
        for other in rostered.graph.neighbours(dropped)
        if other in sets.survivors
    ]


def _recover_secrets(rostered: RosteredRound, sets: Sets, reveals: list[CheckedReveal]) -> dict[int, bytes]:
    """Each sharer's secret: the seed of a survivor, the mask key of one who dropped out."""
    secrets: dict[int, bytes] = {}
    poisoned: list[int] = []
    short: list[int] = []
    for dealer in sorted(sets.sharers):
        shares = _shares_of(dealer, reveals, rostered.graph.threshold)
        if shares is None:
            (poisoned if _is_blamed(dealer, reveals, rostered.graph.threshold) else short).append(dealer)
            continue
        secret = recover(shares)
        if secret is None or not _is_committed(rostered, sets, dealer, secret):
            poisoned.append(dealer)
        else:
            secrets[dealer] = secret
    if poisoned:
        raise RoundAborted(Reason.POISONED_DEALER, f"{len(poisoned)} dealt false shares", tuple(poisoned))
    if short:
        raise RoundAborted(Reason.BELOW_THRESHOLD, f"{len(short)} secrets have too few shares")
    return secrets


def _shares_of(dealer: int, reveals: list[CheckedReveal], threshold: int) -> Mapping[int, bytes] | None:
    """Exactly t genuine shares by point, from the first holders who have one; None if there are fewer."""
    genuine = ((reveal.holder + 1, reveal.shares[dealer]) for reveal in reveals if dealer in reveal.shares)
    shares = dict(islice(genuine, threshold))
    return shares if len(shares) == threshold else None


def _is_blamed(dealer: int, reveals: list[CheckedReveal], threshold: int) -> bool:
    """Whether t holders answered, so that only more liars than the threshold allows could excuse the dealer."""
    return sum(dealer in reveal.shares or dealer in reveal.mismatched for reveal in reveals) >= threshold


def _is_committed(rostered: RosteredRound, sets: Sets, dealer: int, secret: bytes) -> bool:
    advert = rostered.adverts[dealer]
    if dealer in sets.survivors:
        return seed_commitment(secret, rostered.round_id) == advert.seed_commitment
    return KeyPair(secret).public == advert.mask_key
