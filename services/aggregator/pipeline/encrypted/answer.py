"""Accept what silos decrypt a sum to: each once, and for ever the same."""

import hashlib

from sqlalchemy import Connection

from fedrec_protocol.encrypted_messages import DecryptionView
from fedrec_protocol.secagg.of_task import round_layout
from services.aggregator.domain import sealing
from services.aggregator.domain.encrypted_round import read_decrypted
from services.aggregator.domain.errors import MessageConflict, PhaseNotOpen
from services.aggregator.pipeline.asking import Asking
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.encrypted.find import find
from services.aggregator.pipeline.merge import round_key
from services.aggregator.storage import encrypted_sums, notifications
from services.aggregator.storage.encrypted_sums import DecryptionRow


def maximum_decrypted_bytes(context: Context, who: Asking) -> int:
    """The only size that a decrypted sum of one's round can have.

    Raises:
        UnknownAssignment, NoHomomorphicEncryption, PhaseClosed, Forbidden: see `find`.
    """

    def step(tx: Connection) -> int:
        found = find(tx, who)
        return 4 * round_layout(found.manifest, found.round.kind).coordinates

    return context.db.run("find_encrypted_round", step)


def accept(context: Context, who: Asking, body: bytes | bytearray) -> DecryptionView:
    """Store what a silo decrypted the sum to; the same again changes nothing.

    Raises:
        UnknownAssignment, NoHomomorphicEncryption, PhaseClosed, Forbidden: see `find`.
        PhaseNotOpen: the round still collects.
        MessageConflict: this silo has sent something else.
        MessageRejected: no sum of the round.
    """
    sha256 = hashlib.sha256(body).digest()

    def step(tx: Connection) -> DecryptionView:
        found = find(tx, who, share=True)
        if found.row is None:
            raise PhaseNotOpen("the round's sum is not there yet")
        before = encrypted_sums.sent_by(tx, who.assignment_id)
        if before not in {None, sha256}:
            raise MessageConflict("this silo has decrypted the sum to something else; that stays")
        now = encrypted_sums.progress(tx, found.row, found.terms)
        if before is None:
            coordinates = round_layout(found.manifest, found.round.kind).coordinates
            read_decrypted(body, coordinates=coordinates, reports=now.silos, terms=found.terms)
            key = round_key(tx, context, found.round.id)
            stored = context.home.put(tx, sealing.seal(memoryview(body), key, decrypted_name(who.assignment_id)))
            encrypted_sums.insert_decryption(
                tx, found.round.id, DecryptionRow(who.assignment_id, who.client_id, sha256, stored)
            )
            notifications.notify(tx, notifications.WORK)
        answered = len(now.sent) + (before is None)
        return DecryptionView(decrypted=answered, quorum=found.terms.decryption_quorum)

    return context.db.run("accept_decrypted_sum", step)


def decrypted_name(assignment_id: str) -> str:
    """What a sealed decrypted sum is bound to."""
    return f"{assignment_id}:decrypted-sum"
