"""What silos and the aggregator say to each other about an encrypted sum."""

from datetime import datetime

from fedrec_protocol.base import Response

ENCRYPTED_MEDIA_TYPE = "application/octet-stream"
"""Media type of encrypted reports and sums (seven little-endian bytes a word), and of decrypted sums (int32)."""


class Contributor(Response):
    """A silo whose report is in the sum."""

    client_id: str
    """The silo."""
    assignment_id: str
    """Its assignment in the round."""


class EncryptedSum(Response):
    """The sum of a closed round, as its silos are asked to decrypt it."""

    contributors: tuple[Contributor, ...]
    """Whose reports are in it, one each."""
    content_digest: str
    """Content-Digest of the sum's words."""
    deadline: datetime
    """Until when decrypted sums are accepted (server time, UTC)."""


class DecryptionView(Response):
    """How far a round of encrypted reports is."""

    decrypted: int
    """Silos that have sent a decrypted sum."""
    quorum: int
    """Silos that must have sent the same one."""
