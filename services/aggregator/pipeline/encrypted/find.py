"""Whose encrypted sum is asked for, and how far its round is."""

from dataclasses import dataclass

from sqlalchemy import Connection

from fedrec_protocol.homomorphic_encryption import HomomorphicEncryption
from fedrec_protocol.manifest import TaskManifest
from services.aggregator.domain.device_keys import require_current
from services.aggregator.domain.errors import Forbidden, NoHomomorphicEncryption, PhaseClosed, UnknownAssignment
from services.aggregator.domain.rounds import Round
from services.aggregator.pipeline.asking import Asking
from services.aggregator.storage import assignments, encrypted_sums, outcomes, rounds, tasks
from services.aggregator.storage.encrypted_sums import EncryptedSumRow


@dataclass(frozen=True)
class Found:
    """A round of encrypted reports, as one of its silos meets it."""

    who: Asking
    round: Round
    manifest: TaskManifest
    terms: HomomorphicEncryption
    row: EncryptedSumRow | None
    """None while the round collects, and until its sum is there."""


def find(tx: Connection, who: Asking, *, share: bool = False) -> Found:
    """The round that one's own report is in; with `share`, nobody settles it until the transaction ends.

    Raises:
        UnknownAssignment: there is none, or it is somebody else's.
        NoHomomorphicEncryption: its task's reports are not encrypted.
        PhaseClosed: the round is over, or goes on without this silo.
        Forbidden: the silo was revoked.
    """
    assignment = assignments.find(tx, [who.assignment_id]).get(who.assignment_id)
    if assignment is None or assignment.client_id != who.client_id:
        raise UnknownAssignment(f"you have no assignment {who.assignment_id!r}")
    # Before the round, which may end in between: a round that collects has no sum yet, one that is over none any more.
    row = encrypted_sums.find(tx, assignment.round_id, share=share)
    round_ = rounds.get(tx, assignment.round_id)
    manifest = tasks.get(tx, round_.task_id).manifest
    if manifest.homomorphic_encryption is None:
        raise NoHomomorphicEncryption("the reports of this task are not encrypted")
    if assignment.is_revoked:
        raise Forbidden("this client was revoked by an operator")
    require_current(who.device_key, assignment.device_key)
    # A round has its sum decrypted, and is not published yet, while the registry is waited for.
    is_over = row is None and (not round_.is_under_way or outcomes.get(tx, round_.id) is not None)
    if is_over or (row is not None and row.agreed is not None):
        raise PhaseClosed("the round is over; check in for a new assignment")
    if row is not None and assignment.receipt is None:
        raise PhaseClosed("the round goes on without this silo: its report is not in the sum")
    return Found(who, round_, manifest, manifest.homomorphic_encryption, row)
