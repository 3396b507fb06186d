"""Shares that a participant holds of one dealer's secrets."""

from pydantic import Field

from fedrec_protocol.base import Message
from fedrec_protocol.secagg.encoding import Blob
from fedrec_protocol.secagg.shamir import SHARE_BYTES


class HeldShares(Message):
    """One dealer's two shares; at most one of them is ever revealed."""

    dealer: int
    """The dealer's position."""
    seed: Blob = Field(min_length=SHARE_BYTES, max_length=SHARE_BYTES)
    """Share of the seed of its own mask."""
    mask_key: Blob = Field(min_length=SHARE_BYTES, max_length=SHARE_BYTES)
    """Share of its private key of pair masks."""
