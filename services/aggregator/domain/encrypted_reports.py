"""Reports that silos encrypted: words modulo a prime, so few of them that their sum is reduced once, at the end."""

from dataclasses import dataclass

from fedrec_protocol.codec import Body
from fedrec_protocol.encrypted.parameters import WORD_BYTES
from fedrec_protocol.encrypted.words import Malformed, from_bytes, word_count
from fedrec_protocol.encrypted_messages import ENCRYPTED_MEDIA_TYPE
from fedrec_protocol.homomorphic_encryption import HomomorphicEncryption
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.problems import Slug
from fedrec_protocol.secagg.of_task import round_layout
from services.aggregator.domain.errors import ReportRejected
from services.aggregator.domain.opaque_reports import OpaqueLayout, OpaqueReport


@dataclass(frozen=True)
class EncryptedFormat:
    """What the encrypted reports of one round look like."""

    layout: OpaqueLayout

    media_type = ENCRYPTED_MEDIA_TYPE
    needs_base = False

    @classmethod
    def of(cls, manifest: TaskManifest, terms: HomomorphicEncryption, kind: RoundKind) -> "EncryptedFormat":
        """The format of a task's rounds of one kind."""
        return cls(OpaqueLayout(word_count(round_layout(manifest, kind).coordinates, terms.scheme)))

    @property
    def maximum_body_bytes(self) -> int:
        """The only size that a body can have."""
        return self.layout.size * WORD_BYTES

    def read(self, body: Body) -> OpaqueReport:
        """Take a body of words; whether they are a ciphertext under the silos' key cannot be seen here.

        Raises:
            ReportRejected: a body of another length, or a word that is not below the modulus.
        """
        try:
            return OpaqueReport(from_bytes(memoryview(body), self.layout.size))
        except Malformed as error:
            raise ReportRejected(Slug.WRONG_SHAPE, str(error)) from error
