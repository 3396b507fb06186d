"""How many have answered in the open phase, and how many can."""

from sqlalchemy import Connection

from fedrec_protocol.secure_messages import PhaseView, SecurePhase
from services.aggregator.storage import secure_rounds
from services.aggregator.storage.secure_rounds import SecureRow
from services.aggregator.storage.secure_sets import frozen, rostered_round, sets_of


def progress(tx: Connection, row: SecureRow) -> PhaseView:
    """The open phase, counted."""
    phase, round_id = row.secure.phase, row.secure.round_id
    if phase is SecurePhase.UNMASKING:
        return PhaseView(phase=phase, answered=0, expected=0)
    answered = secure_rounds.answered(tx, round_id, phase)
    return PhaseView(phase=phase, answered=answered, expected=_expected(tx, row))


def _expected(tx: Connection, row: SecureRow) -> int:
    match row.secure.phase:
        case SecurePhase.ADVERTISING:
            return row.secure.descriptor.maximum_participants
        case SecurePhase.SHARING:
            return rostered_round(row).size
        case SecurePhase.REPORTING:
            return len(rostered_round(row).read_set(frozen(row.sharers)))
        case SecurePhase.CONFIRMING:
            return len(sets_of(row).survivors)
        case _:  # only those who confirmed will reveal
            return secure_rounds.answered(tx, row.secure.round_id, SecurePhase.CONFIRMING)
