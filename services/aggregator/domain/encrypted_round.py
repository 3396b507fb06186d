"""A round whose sum the server cannot read: its silos decrypt it, and enough of them must agree on what it says."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from fedrec_protocol.homomorphic_encryption import HomomorphicEncryption
from services.aggregator.domain.errors import MessageRejected
from services.aggregator.domain.kernels import Accumulator


class NoAgreement(Exception):
    """No decrypted sum has a quorum, and none will get one."""


@dataclass(frozen=True)
class Decryptions:
    """What the silos of a round have decrypted its sum to."""

    sent: Mapping[str, bytes]
    """SHA-256 of a decrypted sum by client id."""
    silos: int
    """Silos whose reports are in the sum: those who can decrypt it."""
    quorum: int
    deadline: datetime

    def agreed(self, now: datetime) -> bytes | None:
        """The digest that is settled on; None while it is open.

        With a quorum for two digests it takes all answers, or the deadline, and the larger number.

        Raises:
            NoAgreement: it will not be settled any more.
        """
        ranked = Counter(self.sent.values()).most_common(2)
        is_last = len(self.sent) >= self.silos or now >= self.deadline
        first = ranked[0][1] if ranked else 0
        second = ranked[1][1] if len(ranked) > 1 else 0
        if first >= self.quorum and first > second and (is_last or second < self.quorum):
            return ranked[0][0]
        if is_last:
            raise NoAgreement(f"{first} of at least {self.quorum} silos decrypted the sum to the same integers")
        return None

    def dissenters(self, agreed: bytes) -> dict[str, str]:
        """What is held against whom: words by client id."""
        return {
            client_id: "decrypted the sum to other integers than a quorum of silos"
            for client_id, sha256 in self.sent.items()
            if sha256 != agreed
        }

    def in_words(self) -> str:
        """What must happen next, for an operator."""
        return (
            f"decrypting: {len(self.sent)} of {self.silos} silos, {self.quorum} must agree, "
            f"closes {self.deadline:%Y-%m-%d %H:%M:%S} UTC"
        )


def read_decrypted(
    body: bytes | bytearray, *, coordinates: int, reports: int, terms: HomomorphicEncryption
) -> Accumulator:
    """A decrypted sum as it is sent, int64, shape (coordinates,).

    Raises:
        MessageRejected: another length, or a value that no sum of so many reports has.
    """
    if len(body) != 4 * coordinates:
        raise MessageRejected(f"{len(body)} bytes for {coordinates} coordinates of 4")
    vector = np.frombuffer(body, "<i4").astype(np.int64)
    if np.abs(vector).max(initial=0) > reports * 2 ** (terms.value_bits - 1):
        raise MessageRejected(f"a coordinate is larger than in any sum of {reports} reports")
    return vector
