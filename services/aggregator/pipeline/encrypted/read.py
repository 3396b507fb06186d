"""What silos read of an encrypted sum; until there is one, how far the round is."""

from sqlalchemy import Connection

from fedrec_protocol.digest import format_digest
from fedrec_protocol.encrypted_messages import Contributor, DecryptionView, EncryptedSum
from services.aggregator.domain import sealing
from services.aggregator.domain.encrypted_reports import EncryptedFormat
from services.aggregator.domain.errors import PhaseNotOpen
from services.aggregator.pipeline.asking import Asking
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.encrypted.find import find
from services.aggregator.pipeline.encrypted.offer import sum_name
from services.aggregator.pipeline.merge import round_key
from services.aggregator.storage import encrypted_sums


def read_sum(context: Context, who: Asking) -> EncryptedSum | DecryptionView:
    """What the sum is of; while the round collects, that nobody has decrypted it.

    Raises:
        UnknownAssignment, NoHomomorphicEncryption, PhaseClosed, Forbidden: see `find`.
    """

    def step(tx: Connection) -> EncryptedSum | DecryptionView:
        found = find(tx, who)
        if found.row is None:
            return DecryptionView(decrypted=0, quorum=found.terms.decryption_quorum)
        authors = encrypted_sums.contributors(tx, found.round.id)
        return EncryptedSum(
            contributors=tuple(Contributor(client_id=client, assignment_id=id_) for id_, client in authors.items()),
            content_digest=format_digest(found.row.sha256),
            deadline=found.row.deadline,
        )

    return context.db.run("read_encrypted_sum", step)


def read_words(context: Context, who: Asking) -> bytes:
    """The words of the sum.

    Raises:
        PhaseNotOpen: the round still collects.
        UnknownAssignment, NoHomomorphicEncryption, PhaseClosed, Forbidden: see `find`.
    """

    def step(tx: Connection) -> bytes:
        found = find(tx, who, share=True)  # the sum stays until it is read
        if found.row is None:
            raise PhaseNotOpen("the round's sum is not there yet")
        size = EncryptedFormat.of(found.manifest, found.terms, found.round.kind).maximum_body_bytes
        key, sealed = round_key(tx, context, found.round.id), context.home.read(tx, found.row.object_key)
        return b"".join(sealing.unseal(sealed, size, key, sum_name(found.round.id)))

    return context.db.run("read_encrypted_words", step)
