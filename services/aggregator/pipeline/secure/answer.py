"""Accept what participants send in the phases of a secure round: each message once, and for ever the same."""

from sqlalchemy import Connection

from fedrec_protocol.base import Message
from fedrec_protocol.secagg.errors import Rejected
from fedrec_protocol.secagg.messages import Acknowledgement, Advert, Reveal, Shares
from fedrec_protocol.secagg.roster import check_advert
from fedrec_protocol.secagg.server.reveals import check_reveal
from fedrec_protocol.secagg.server.sharing import check_shares
from fedrec_protocol.secagg.server.survivors import check_acknowledgement
from fedrec_protocol.secure_messages import PhaseView, SecurePhase
from services.aggregator.domain import sealing
from services.aggregator.domain.errors import Forbidden, MessageConflict, MessageRejected, PhaseClosed
from services.aggregator.domain.secure_keys import public, registry_key
from services.aggregator.pipeline.asking import Asking
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.secure.find import Found, find
from services.aggregator.pipeline.secure.unmask import reveal_name
from services.aggregator.storage import notifications, rounds, secure_rounds
from services.aggregator.storage.secure_progress import progress
from services.aggregator.storage.secure_sets import rostered_round, sets_of, shares_of

Answer = Advert | Shares | Acknowledgement | Reveal

_PHASE: dict[type[Message], SecurePhase] = {
    Advert: SecurePhase.ADVERTISING,
    Shares: SecurePhase.SHARING,
    Acknowledgement: SecurePhase.CONFIRMING,
    Reveal: SecurePhase.REVEALING,
}


def accept(context: Context, who: Asking, answer: Answer) -> PhaseView:
    """Store a participant's message, if it verifies; the same one again changes nothing.

    Raises:
        UnknownAssignment, NoSecureAggregation: there is nothing to answer.
        PhaseNotOpen, PhaseClosed: it is too early, too late, or the round goes on without this participant.
        MessageConflict: another message was accepted in this phase.
        MessageRejected: a key, a signature or a length is wrong.
    """

    def step(tx: Connection) -> PhaseView:
        found = find(tx, who, share=True)
        if not _is_repeated(tx, context, found, answer):
            found.row.secure.require(_PHASE[type(answer)])
            _check(tx, context, found, answer)
            if not _store(tx, context, found, answer) and not _is_repeated(tx, context, found, answer):
                raise _conflict()
        now = progress(tx, found.row)
        if now.answered >= now.expected:
            notifications.notify(tx, notifications.WORK)
        return now

    return context.db.run("accept_secure_message", step)


def _is_repeated(tx: Connection, context: Context, found: Found, answer: Answer) -> bool:
    """Whether this very message was accepted before, also when its phase is over: its sender may not know yet."""
    stored = secure_rounds.message(tx, found.assignment.id, _PHASE[type(answer)])
    if stored is None:
        return False
    if isinstance(answer, Reveal):
        stored = sealing.open_value(stored, _round_key(tx, context, found), reveal_name(found.assignment.id))
    if type(answer).model_validate_json(stored) != answer:
        raise _conflict()
    return True


def _store(tx: Connection, context: Context, found: Found, answer: Answer) -> bool:
    assignment_id, content = found.assignment.id, answer.model_dump_json().encode()
    match answer:
        case Advert():
            return secure_rounds.insert_advert(tx, found.row.secure.round_id, assignment_id, content)
        case Reveal():
            # With a partial sum of one report, its seed would take off one of its masks: it lies sealed like the sum.
            content = sealing.seal_value(content, _round_key(tx, context, found), reveal_name(assignment_id))
    return secure_rounds.set_message(tx, assignment_id, _PHASE[type(answer)], content)


def _check(tx: Connection, context: Context, found: Found, answer: Answer) -> None:
    try:
        match answer:
            case Advert():
                _check_advert(context, found, answer)
            case Shares():
                check_shares(rostered_round(found.row), found.position, answer)
            case Acknowledgement():
                found.require_survivor()
                check_acknowledgement(rostered_round(found.row), found.position, answer, sets_of(found.row).bitmap)
            case Reveal():
                found.require_survivor()
                rostered = rostered_round(found.row)
                shares = shares_of(tx, found.row, frozenset(rostered.graph.holders(found.position)))
                check_reveal(rostered, found.position, answer, sets_of(found.row), shares)
    except Rejected as error:
        raise MessageRejected(str(error)) from error


def _check_advert(context: Context, found: Found, advert: Advert) -> None:
    if advert.certificate.client_id != found.assignment.client_id:
        raise MessageRejected("the advert's certificate is another participant's")
    if found.assignment.is_revoked:
        raise Forbidden("this client was revoked by an operator")
    registry = public(registry_key(context.deployment_keys[0]))
    check_advert(advert, found.row.secure.descriptor.round_id, registry)


def _round_key(tx: Connection, context: Context, found: Found) -> bytes:
    round_id = found.row.secure.round_id
    wrapped = rounds.wrapped_key(tx, round_id)
    if wrapped is None:
        raise PhaseClosed("the round is over; check in for a new assignment")
    return sealing.unwrap(wrapped, context.deployment_keys, round_id)


def _conflict() -> MessageConflict:
    return MessageConflict("a different message was accepted in this phase; it stays")
