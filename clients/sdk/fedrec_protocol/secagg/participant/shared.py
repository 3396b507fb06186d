"""Phase 2: a participant has dealt its shares, and will mask its vector."""

import hashlib
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.base import Message
from fedrec_protocol.secagg.blobs import split_entries
from fedrec_protocol.secagg.encoding import Bytes32
from fedrec_protocol.secagg.errors import Reason, Refused
from fedrec_protocol.secagg.grid import Grid
from fedrec_protocol.secagg.keys import KeyPair, pair_mask_key, sealing_key, seed_mask_key
from fedrec_protocol.secagg.masks import Mask, apply_masks
from fedrec_protocol.secagg.messages import SEALED_BYTES, Inbox, Shares
from fedrec_protocol.secagg.packing import pack
from fedrec_protocol.secagg.participant.held import HeldShares
from fedrec_protocol.secagg.participant.reported import Reported
from fedrec_protocol.secagg.participant.rostered import Place
from fedrec_protocol.secagg.sealing import unseal


class Secrets(Message):
    """What a participant makes for one round and nobody else may have before its end."""

    mask_private: Bytes32
    """X25519 private key of the pair masks."""
    share_private: Bytes32
    """X25519 private key under which shares are sealed."""
    seed: Bytes32
    """Seed of one's own mask."""


class Shared(Message):
    """Shares are dealt; they may be sent."""

    phase: Literal["shared"] = "shared"
    """Which state this is."""
    place: Place
    """The round and one's neighbours."""
    secrets: Secrets
    """This round's secrets."""
    own_shares: tuple[HeldShares, ...]
    """The shares that one holds of one's own secrets: one pair, or none on a ring."""
    answer: Shares
    """PUT shares."""

    def on_inbox(self, inbox: Inbox, vector: NDArray[np.int64]) -> tuple[Reported, bytes]:
        """Mask the vector; the body to send, and the state to save together with it before sending.

        The secrets are not in the next state: no second vector can leave under the same masks.

        Raises:
            Refused: too few participants or neighbours shared, or a vector outside the agreed bits.
        """
        place = self.place
        _require_in_range(vector, place.descriptor.grid)
        sharers = place.read_set(inbox.sharers)
        place.require_cohort(sharers)
        held = self._open(inbox, sharers)
        place.require_threshold(len(held), "shares could be opened")
        body = self._mask(vector, sharers)
        state = Reported(
            place=place, sharers=inbox.sharers, held=tuple(held), body_digest=hashlib.sha256(body).digest()
        )
        return state, body

    def _open(self, inbox: Inbox, sharers: frozenset[int]) -> list[HeldShares]:
        """Shares of the neighbours, and of oneself; those that do not open are left out."""
        place = self.place
        try:
            sealed = split_entries(inbox.sealed, sharers & place.neighbour_positions, SEALED_BYTES)
        except ValueError as error:
            raise Refused(Reason.MALFORMED, str(error)) from error
        own_keys = KeyPair(self.secrets.share_private)
        held = list(self.own_shares)
        for neighbour in place.neighbours:
            if neighbour.position not in sealed:
                continue
            key = sealing_key(own_keys, neighbour.share_key, place.round_id)
            pair = unseal(sealed[neighbour.position], key, place.route(neighbour.position, place.position))
            if pair is not None:
                held.append(HeldShares(dealer=neighbour.position, seed=pair.seed, mask_key=pair.mask_key))
        return held

    def _mask(self, vector: NDArray[np.int64], sharers: frozenset[int]) -> bytes:
        """X + PRG(seed) + the masks shared with later neighbours - those shared with earlier ones."""
        place, grid = self.place, self.place.descriptor.grid
        own_keys = KeyPair(self.secrets.mask_private)
        masks = [Mask(seed_mask_key(self.secrets.seed, place.round_id), is_added=True)]
        for neighbour in place.neighbours:
            if neighbour.position in sharers:
                key = pair_mask_key(own_keys, neighbour.mask_key, place.round_id)
                masks.append(Mask(key, is_added=place.position < neighbour.position))
        words: NDArray[Any] = vector.astype(grid.word)
        apply_masks(words, masks)
        return pack(words, grid)


def _require_in_range(vector: NDArray[np.int64], grid: Grid) -> None:
    if vector.shape != (grid.coordinates,) or not np.issubdtype(vector.dtype, np.signedinteger):
        raise Refused(Reason.MALFORMED, f"{vector.dtype} of shape {vector.shape} for {grid.coordinates} integers")
    limit = 2 ** (grid.value_bits - 1)
    if vector.min() < -limit or vector.max() >= limit:
        raise Refused(Reason.OUT_OF_RANGE, f"a coordinate does not fit in {grid.value_bits} bits")
