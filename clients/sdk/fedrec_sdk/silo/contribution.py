"""A round of encrypted reports, as a silo takes part in it: encrypt, report, decrypt the sum, send it back."""

import hashlib
import logging
from collections.abc import Callable
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.digest import content_digest
from fedrec_protocol.encrypted.tags import TAGS, Author, SumTags, round_context
from fedrec_protocol.encrypted.words import Malformed, from_bytes, to_bytes, word_count
from fedrec_protocol.encrypted_messages import ENCRYPTED_MEDIA_TYPE, EncryptedSum
from fedrec_protocol.homomorphic_encryption import HomomorphicEncryption
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.problems import Slug
from fedrec_protocol.secagg.of_task import round_layout
from fedrec_sdk.errors import Rejected, rejected_here
from fedrec_sdk.outcomes import Contributed, Outcome, WaitingForOthers
from fedrec_sdk.phases import Phases
from fedrec_sdk.session import Session
from fedrec_sdk.silo.cipher import Cipher, NoSum
from fedrec_sdk.silo.key import SiloKey
from fedrec_sdk.store import LocalStore
from fedrec_sdk.store.secure_rounds import PendingSecureRound

log = logging.getLogger(__name__)


class SiloContribution:
    """Takes part in the round of encrypted reports that the store holds."""

    def __init__(
        self,
        store: LocalStore,
        session: Session,
        *,
        read_key: Callable[[], SiloKey] | None,
        client_id: Callable[[], str],
        minimum_cohort: int | None,
    ) -> None:
        self._rounds = store.secure_rounds
        self._phases = Phases(store.secure_rounds)
        self._session = session
        self._read_key = read_key
        self._client_id = client_id
        self._minimum_cohort = minimum_cohort
        self._opened: tuple[SiloKey, Cipher] | None = None

    def require(self, manifest: TaskManifest) -> None:
        """Refuse a task of encrypted reports without its key, before anything is sent; others pass.

        Raises:
            Rejected: `silo-key-required`.
            BadSiloKey, EncryptionUnavailable: the key cannot be used.
        """
        if manifest.homomorphic_encryption is not None:
            self._open(manifest.homomorphic_encryption)

    def proceed(self, manifest: TaskManifest, hold_seconds: float) -> Outcome:
        """Answer all that can be answered now, and wait for the others for up to so long.

        Raises:
            Unavailable: it stopped half-way; calling again goes on from there.
            Rejected: the server refused, or this silo will not decrypt what it is shown; the round is dropped.
        """
        terms = manifest.homomorphic_encryption
        if terms is None:
            raise rejected_here(Slug.ENCRYPTED_SUM_REFUSED, "the task's manifest no longer says that it encrypts")
        return self._phases.proceed(lambda pending: self._step(manifest, terms, pending), hold_seconds)

    def _step(
        self, manifest: TaskManifest, terms: HomomorphicEncryption, pending: PendingSecureRound
    ) -> Outcome | None:
        if pending.report_id is not None:
            return self._decrypt(manifest, terms, pending)
        if pending.body is None:
            self._encrypt(manifest, terms, pending)
            return None
        receipt = self._session.report(
            pending.assignment_id, pending.base_version_id, pending.body, media_type=ENCRYPTED_MEDIA_TYPE
        )
        self._rounds.count(pending, receipt.report_id)
        log.info("round %d: encrypted report %s counted", pending.round_number, receipt.report_id)
        return None

    def _encrypt(self, manifest: TaskManifest, terms: HomomorphicEncryption, pending: PendingSecureRound) -> None:
        key, cipher = self._open(terms)
        words = cipher.encrypt(np.frombuffer(pending.vector, "<i8").astype(np.int64, copy=False))
        tags = _tags(key, manifest, pending).tag(words, Author(self._client_id(), pending.assignment_id))
        # Stored before it is sent: two ciphertexts with the tags of one assignment would tell of the tags' key.
        self._rounds.mask(b"", to_bytes(np.concatenate([words, tags])))

    def _decrypt(self, manifest: TaskManifest, terms: HomomorphicEncryption, pending: PendingSecureRound) -> Outcome:
        shown = self._session.read_encrypted_sum(pending.assignment_id)
        if isinstance(shown, timedelta):
            return WaitingForOthers(shown, pending.round_number)
        body = self._session.encrypted_words(pending.assignment_id)
        self._require_one_sum(pending, shown, body)
        self._session.send_decrypted(pending.assignment_id, self._decrypted(manifest, terms, pending, shown, body))
        self._rounds.discard()
        return Contributed(pending.report_id or "", pending.round_number, pending.kind)

    def _require_one_sum(self, pending: PendingSecureRound, shown: EncryptedSum, body: bytes) -> None:
        """One sum of a round is decrypted, ever: the difference of two would tell of those who are in one only."""
        if content_digest(body) != shown.content_digest:
            raise _refused("the encrypted sum is not the one that was announced")
        chosen = hashlib.sha256(body).digest()
        if pending.state not in {b"", chosen}:
            raise _refused("this silo was shown another sum of the same round before")
        self._rounds.answer(chosen)

    def _decrypted(
        self,
        manifest: TaskManifest,
        terms: HomomorphicEncryption,
        pending: PendingSecureRound,
        shown: EncryptedSum,
        body: bytes,
    ) -> bytes:
        """The sum's integers as they are sent, once it is proven what it is a sum of."""
        key, cipher = self._open(terms)
        authors = [Author(one.client_id, one.assignment_id) for one in shown.contributors]
        floor = max(manifest.rounds.minimum_reports, self._minimum_cohort or 0)
        if len(authors) < floor:
            raise _refused(f"a sum of {len(authors)} silos, not of at least {floor}")
        if Author(self._client_id(), pending.assignment_id) not in authors:
            raise _refused("the sum is one without this silo's report")
        coordinates = round_layout(manifest, pending.kind).coordinates
        try:
            words = from_bytes(body, word_count(coordinates, terms.scheme))
            if not _tags(key, manifest, pending).is_sum(words[:-TAGS], words[-TAGS:], authors):
                raise _refused("the words are not the sum of one report of each silo that is named")
            vector = cipher.decrypt(words[:-TAGS], coordinates)
        except (Malformed, NoSum) as error:
            raise _refused(str(error)) from error
        return _as_sent(vector)

    def _open(self, terms: HomomorphicEncryption) -> tuple[SiloKey, Cipher]:
        """The key that the manifest names, and no other."""
        if self._opened is None:
            if self._read_key is None:
                raise rejected_here(
                    Slug.SILO_KEY_REQUIRED, "reports of this task are encrypted: pass silo_key, the silos' key file"
                )
            key = self._read_key()
            self._opened = key, Cipher(key)
        if self._opened[0].fingerprint != terms.key_fingerprint:
            raise rejected_here(
                Slug.SILO_KEY_REQUIRED,
                f"the silo key has fingerprint {self._opened[0].fingerprint}, the task's {terms.key_fingerprint}",
            )
        return self._opened


def _tags(key: SiloKey, manifest: TaskManifest, pending: PendingSecureRound) -> SumTags:
    context = round_context(
        task_id=pending.task_id,
        round_number=pending.round_number,
        kind=pending.kind,
        base_digest=pending.base_digest,
        manifest_digest=manifest.digest,
    )
    return SumTags(key.tag_key, context)


def _as_sent(vector: NDArray[np.int64]) -> bytes:
    return vector.astype("<i4").tobytes()


def _refused(detail: str) -> Rejected:
    return rejected_here(Slug.ENCRYPTED_SUM_REFUSED, detail)
