"""Secure rounds in Postgres: what each phase froze, and each participant's messages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from fedrec_protocol.secagg.descriptor import SignedDescriptor
from fedrec_protocol.secagg.messages import Roster
from fedrec_protocol.secagg.server.context import RosteredRound
from fedrec_protocol.secure_messages import SecurePhase
from services.aggregator.domain.secure_round import SecureRound
from services.aggregator.storage.tables import receipts, secure_participants, secure_rounds

_COLUMN = {
    SecurePhase.ADVERTISING: secure_participants.c.advert,
    SecurePhase.SHARING: secure_participants.c.shares,
    SecurePhase.CONFIRMING: secure_participants.c.acknowledgement,
    SecurePhase.REVEALING: secure_participants.c.reveal,
}
"""Where the message of each phase is kept; a masked report is folded, and leaves a receipt only."""

_ROSTERS_REMEMBERED = 8
_ROSTERED: dict[str, RosteredRound] = {}


@dataclass(frozen=True)
class SecureRow:
    """A secure round and what its phases froze."""

    secure: SecureRound
    offer: bytes
    rostered: RosteredRound | None
    """With the roster, once that is frozen."""
    sharers: bytes | None
    survivors: bytes | None


@dataclass(frozen=True)
class SecureParticipant:
    """One participant of a secure round."""

    assignment_id: str
    position: int | None
    inbox: bytes | None


def insert_round(tx: Connection, round_id: str, offer: SignedDescriptor, now: datetime) -> None:
    """Store a new secure round, in its first phase."""
    values = {"phase": SecurePhase.ADVERTISING, "offer": offer.model_dump_json().encode(), "since": now}
    tx.execute(insert(secure_rounds).values(round_id=round_id, **values))


def find(tx: Connection, round_id: str, *, lock: bool = False, share: bool = False) -> SecureRow | None:
    """A secure round; None for a plain one, and once the round is over.

    With `share`, its phase stays what it is until the transaction ends; with `lock`, nobody else reads it with
    `share` meanwhile.
    """
    table = secure_rounds
    columns = (table.c.phase, table.c.since, table.c.offer, table.c.sharers, table.c.survivors)
    query = select(*columns).where(table.c.round_id == round_id)
    if lock or share:
        query = query.with_for_update(read=share)
    row = tx.execute(query).mappings().one_or_none()
    if row is None:
        return None
    secure = SecureRound(round_id, SecurePhase(row["phase"]), parse_offer(row["offer"]).descriptor, row["since"])
    if secure.phase is SecurePhase.ADVERTISING:
        return SecureRow(secure, row["offer"], None, row["sharers"], row["survivors"])
    rostered = _rostered(tx, secure)
    if rostered is None:  # the round ended between the two queries
        return None
    return SecureRow(secure, row["offer"], rostered, row["sharers"], row["survivors"])


def roster(tx: Connection, round_id: str) -> bytes | None:
    """Everybody's adverts, as JSON; None until they are frozen."""
    found: bytes | None = tx.execute(
        select(secure_rounds.c.roster).where(secure_rounds.c.round_id == round_id)
    ).scalar()
    return found


def _rostered(tx: Connection, secure: SecureRound) -> RosteredRound | None:
    # A frozen roster never changes, and is large: a process reads and parses it once, not for every poll.
    known = _ROSTERED.get(secure.round_id)
    if known is None:
        content = roster(tx, secure.round_id)
        if content is None:
            return None
        known = RosteredRound(secure.descriptor, Roster.model_validate_json(content).adverts)
        _ROSTERED[secure.round_id] = known
        for old in list(_ROSTERED)[:-_ROSTERS_REMEMBERED]:
            _ROSTERED.pop(old, None)
    return known


@lru_cache(maxsize=16)
def parse_offer(offer: bytes) -> SignedDescriptor:
    """What `insert_round` stored."""
    return SignedDescriptor.model_validate_json(offer)


def phase(tx: Connection, round_id: str) -> SecurePhase | None:
    """The open phase; None for a plain round, and once the round is over."""
    found = tx.execute(select(secure_rounds.c.phase).where(secure_rounds.c.round_id == round_id)).scalar()
    return None if found is None else SecurePhase(found)


def under_way(tx: Connection) -> list[str]:
    """Ids of the secure rounds that wait for their participants."""
    query = select(secure_rounds.c.round_id).where(secure_rounds.c.phase != SecurePhase.UNMASKING)
    return list(tx.execute(query.order_by(secure_rounds.c.round_id)).scalars())


def participant(tx: Connection, assignment_id: str) -> SecureParticipant | None:
    """Who joined with this assignment."""
    table = secure_participants
    query = select(table.c.position, table.c.inbox).where(table.c.assignment_id == assignment_id)
    row = tx.execute(query).one_or_none()
    return None if row is None else SecureParticipant(assignment_id, row[0], row[1])


def insert_advert(tx: Connection, round_id: str, assignment_id: str, advert: bytes) -> bool:
    """Let a participant join; false when it has joined before."""
    values = {"assignment_id": assignment_id, "round_id": round_id, "advert": advert}
    statement = upsert(secure_participants).values(**values).on_conflict_do_nothing()
    return tx.execute(statement).rowcount == 1


def set_message(tx: Connection, assignment_id: str, of_phase: SecurePhase, message: bytes) -> bool:
    """Store a message; false when there is one already."""
    column = _COLUMN[of_phase]
    is_new = (secure_participants.c.assignment_id == assignment_id) & column.is_(None)
    return tx.execute(update(secure_participants).where(is_new).values({column: message})).rowcount == 1


def message(tx: Connection, assignment_id: str, of_phase: SecurePhase) -> bytes | None:
    """A participant's message of a phase."""
    query = select(_COLUMN[of_phase]).where(secure_participants.c.assignment_id == assignment_id)
    found: bytes | None = tx.execute(query).scalar()
    return found


def messages(
    tx: Connection, round_id: str, of_phase: SecurePhase, positions: frozenset[int] | None = None
) -> dict[int, bytes]:
    """Messages of a phase by roster position; with `positions`, of those only."""
    table, column = secure_participants, _COLUMN[of_phase]
    query = select(table.c.position, column).where(table.c.round_id == round_id, column.is_not(None))
    if positions is not None:
        query = query.where(table.c.position.in_(positions))
    return {row[0]: row[1] for row in tx.execute(query.order_by(table.c.position))}


def adverts(tx: Connection, round_id: str) -> dict[str, bytes]:
    """Everybody's adverts by assignment id."""
    query = select(secure_participants.c.assignment_id, secure_participants.c.advert)
    return {row[0]: row[1] for row in tx.execute(query.where(secure_participants.c.round_id == round_id))}


def answered(tx: Connection, round_id: str, of_phase: SecurePhase) -> int:
    """Participants who have answered in a phase."""
    if of_phase is SecurePhase.REPORTING:
        return tx.execute(select(func.count()).where(receipts.c.round_id == round_id)).scalar_one()
    query = select(func.count(_COLUMN[of_phase])).where(secure_participants.c.round_id == round_id)
    return tx.execute(query).scalar_one()


def reporters(tx: Connection, round_id: str) -> frozenset[int]:
    """Positions of those whose masked reports are in the sum."""
    joined = secure_participants.join(receipts, receipts.c.assignment_id == secure_participants.c.assignment_id)
    query = select(secure_participants.c.position).select_from(joined)
    return frozenset(tx.execute(query.where(secure_participants.c.round_id == round_id)).scalars())


def save(tx: Connection, secure: SecureRound, **frozen: bytes) -> None:
    """Store the phase that the domain returned, together with what is frozen for it."""
    statement = update(secure_rounds).where(secure_rounds.c.round_id == secure.round_id)
    tx.execute(statement.values(phase=secure.phase, since=secure.since, **frozen))


def set_positions(tx: Connection, positions: Mapping[str, int]) -> None:
    """Give everybody on the roster its position, by assignment id."""
    _set(tx, "position", [{"id": id_, "value": position} for id_, position in positions.items()])


def set_inboxes(tx: Connection, assignment_ids: Mapping[int, str], inboxes: Mapping[int, bytes]) -> None:
    """Store what everybody's neighbours sealed for it, by position."""
    _set(tx, "inbox", [{"id": assignment_ids[position], "value": inbox} for position, inbox in inboxes.items()])


def assignment_ids(tx: Connection, round_id: str) -> dict[int, str]:
    """Assignment ids by roster position."""
    query = select(secure_participants.c.position, secure_participants.c.assignment_id)
    rows = tx.execute(query.where(secure_participants.c.round_id == round_id))
    return {row[0]: row[1] for row in rows}


def delete_round(tx: Connection, round_id: str) -> None:
    """Forget a secure round's keys, shares and sets."""
    tx.execute(delete(secure_participants).where(secure_participants.c.round_id == round_id))
    tx.execute(delete(secure_rounds).where(secure_rounds.c.round_id == round_id))


def _set(tx: Connection, column: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        statement = update(secure_participants).where(secure_participants.c.assignment_id == bindparam("id"))
        tx.execute(statement.values({column: bindparam("value")}), rows)
