"""End the phases that are due: freeze who answered, in one row-locked change, and only then show it."""

import structlog
from sqlalchemy import Connection

from fedrec_protocol.base import Response
from fedrec_protocol.messages import RoundState
from fedrec_protocol.secagg.errors import RoundAborted
from fedrec_protocol.secagg.messages import Advert
from fedrec_protocol.secagg.roster import build_roster
from fedrec_protocol.secagg.server.sharing import freeze_sharers, inbox_of
from fedrec_protocol.secagg.server.survivors import freeze_survivors
from fedrec_protocol.secure_messages import SecurePhase
from services.aggregator.domain.rounds import Round
from services.aggregator.domain.secure_keys import server_key
from services.aggregator.domain.secure_round import SecureRound, TooFew
from services.aggregator.pipeline.about import about
from services.aggregator.pipeline.close import abandon
from services.aggregator.pipeline.context import Context
from services.aggregator.storage import notifications, rounds, secure_rounds
from services.aggregator.storage.secure_progress import progress
from services.aggregator.storage.secure_rounds import SecureRow
from services.aggregator.storage.secure_sets import frozen, rostered_round, shares_of

log = structlog.get_logger(__name__)


def advance_if_due(context: Context, round_id: str) -> SecureRound | None:
    """Begin the next phase if the open one is over, or abandon the round; None when neither is due."""

    def step(tx: Connection) -> tuple[Round, SecureRound] | None:
        if not _is_due(tx, context, secure_rounds.find(tx, round_id)):
            return None
        # The round's row first, as everywhere: it waits for the commits of reports under way. Then the phase's,
        # which waits for messages under way. After both, the set is final, and what comes later is refused.
        round_ = rounds.get(tx, round_id, lock=True)
        row = secure_rounds.find(tx, round_id, lock=True)
        if row is None or not _is_due(tx, context, row):
            return None
        try:
            following = row.secure.next(progress(tx, row).answered, context.now())
            _freeze(tx, context, row, following)
        except (TooFew, RoundAborted) as error:
            abandoned = round_.abandoned(str(error), context.now())
            abandon(tx, context, abandoned)
            return abandoned, row.secure
        if following.phase is SecurePhase.CONFIRMING:
            rounds.save(tx, round_.closed(context.now()))
        if following.phase is SecurePhase.UNMASKING:
            notifications.notify(tx, notifications.WORK)
        return round_, following

    advanced = context.db.run("advance_secure_round", step)
    if advanced is None:
        return None
    round_, secure = advanced
    if round_.state is RoundState.ABANDONED:
        log.warning("round abandoned", **about(round_), phase=secure.phase, reason=round_.abandoned_reason)
    else:
        log.info("phase opened", **about(round_), phase=secure.phase)
    return secure


def _is_due(tx: Connection, context: Context, row: SecureRow | None) -> bool:
    if row is None:
        return False
    now = progress(tx, row)
    return row.secure.is_due(answered=now.answered, expected=now.expected, now=context.now())


def _freeze(tx: Connection, context: Context, row: SecureRow, following: SecureRound) -> None:
    match following.phase:
        case SecurePhase.SHARING:
            _freeze_roster(tx, context, row, following)
        case SecurePhase.REPORTING:
            _freeze_sharers(tx, row, following)
        case SecurePhase.CONFIRMING:
            _freeze_survivors(tx, context, row, following)
        case _:
            secure_rounds.save(tx, following)


def _freeze_roster(tx: Connection, context: Context, row: SecureRow, following: SecureRound) -> None:
    adverts = {
        id_: Advert.model_validate_json(advert)
        for id_, advert in secure_rounds.adverts(tx, row.secure.round_id).items()
    }
    roster = build_roster(row.secure.descriptor, adverts.values(), server_key(context.deployment_keys[0]))
    positions = {advert.mask_key: position for position, advert in enumerate(roster.adverts)}
    secure_rounds.set_positions(tx, {id_: positions[advert.mask_key] for id_, advert in adverts.items()})
    secure_rounds.save(tx, following, roster=_json(roster))


def _freeze_sharers(tx: Connection, row: SecureRow, following: SecureRound) -> None:
    rostered, shares = rostered_round(row), shares_of(tx, row)
    bitmap = freeze_sharers(rostered, frozenset(shares))
    # Sealed shares are sorted by receiver once, instead of being read by each receiver from every dealer's.
    inboxes = {holder: _json(inbox_of(rostered, holder, shares)) for holder in shares}
    secure_rounds.set_inboxes(tx, secure_rounds.assignment_ids(tx, row.secure.round_id), inboxes)
    secure_rounds.save(tx, following, sharers=bitmap)


def _freeze_survivors(tx: Connection, context: Context, row: SecureRow, following: SecureRound) -> None:
    rostered = rostered_round(row)
    sharers = rostered.read_set(frozen(row.sharers))
    reporters = secure_rounds.reporters(tx, row.secure.round_id)
    survivors = freeze_survivors(rostered, sharers, reporters, server_key(context.deployment_keys[0]))
    secure_rounds.save(tx, following, survivors=_json(survivors))


def _json(message: Response) -> bytes:
    return message.model_dump_json().encode()
