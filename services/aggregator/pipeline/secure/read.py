"""What participants read in the phases of a secure round, once it is frozen; until then, how far the round is."""

from collections.abc import Callable

from sqlalchemy import Connection

from fedrec_protocol.secagg.messages import Acknowledgement
from fedrec_protocol.secagg.server.survivors import acknowledgements_for
from fedrec_protocol.secure_messages import PhaseView, SecureOffer, SecurePhase
from services.aggregator.domain.errors import PhaseClosed
from services.aggregator.domain.secure_keys import certificate, public, registry_key, server_key
from services.aggregator.pipeline.asking import Asking
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.secure.find import Found, find
from services.aggregator.storage import secure_rounds
from services.aggregator.storage.secure_progress import progress
from services.aggregator.storage.secure_sets import rostered_round

Published = bytes | PhaseView
"""A message as JSON, or how far the round is while it is not frozen yet."""


def read_offer(context: Context, who: Asking) -> SecureOffer:
    """The round's signed descriptor and what is needed to join it.

    Raises:
        UnknownAssignment, NoSecureAggregation: there is none.
        PhaseClosed: the round has begun, and goes on without this participant.
    """

    def step(tx: Connection) -> SecureOffer:
        found = find(tx, who)
        if found.joined is None:
            found.row.secure.require(SecurePhase.ADVERTISING)
        deployment_key = context.deployment_keys[0]
        return SecureOffer(
            signed=secure_rounds.parse_offer(found.row.offer),
            certificate=certificate(who.client_id, found.assignment.device_key, deployment_key),
            server_key=public(server_key(deployment_key)),
            registry_key=public(registry_key(deployment_key)),
        )

    return context.db.run("read_secure_offer", step)


def read_roster(context: Context, who: Asking) -> Published:
    """Everybody who joined; raises `PhaseClosed` for those who did not."""

    def roster(tx: Connection, found: Found) -> bytes:
        found.require_rostered()
        return _still_there(secure_rounds.roster(tx, found.row.secure.round_id))

    return _read(context, who, SecurePhase.ADVERTISING, roster)


def read_inbox(context: Context, who: Asking) -> Published:
    """What the neighbours sealed for this participant; raises `PhaseClosed` unless it shared too."""

    def inbox(_: Connection, found: Found) -> bytes:
        found.require_sharer()
        return _still_there(None if found.joined is None else found.joined.inbox)

    return _read(context, who, SecurePhase.SHARING, inbox)


def read_survivors(context: Context, who: Asking) -> Published:
    """Whose reports are in the sum; raises `PhaseClosed` for those who are not among them."""

    def survivors(_: Connection, found: Found) -> bytes:
        found.require_survivor()
        return _still_there(found.row.survivors)

    return _read(context, who, SecurePhase.REPORTING, survivors)


def read_acknowledgements(context: Context, who: Asking) -> Published:
    """What this participant's neighbours signed of the survivors."""

    def acknowledgements(tx: Connection, found: Found) -> bytes:
        found.require_survivor()
        rostered = rostered_round(found.row)
        neighbours = frozenset(rostered.graph.neighbours(found.position))
        stored = secure_rounds.messages(tx, found.row.secure.round_id, SecurePhase.CONFIRMING, neighbours)
        accepted = {position: Acknowledgement.model_validate_json(content) for position, content in stored.items()}
        return acknowledgements_for(rostered, found.position, accepted).model_dump_json().encode()

    return _read(context, who, SecurePhase.CONFIRMING, acknowledgements)


def _read(
    context: Context, who: Asking, frozen_by: SecurePhase, content: Callable[[Connection, Found], bytes]
) -> Published:
    def step(tx: Connection) -> Published:
        found = find(tx, who)
        if found.row.secure.phase.place <= frozen_by.place:
            return progress(tx, found.row)
        return content(tx, found)

    return context.db.run("read_secure_round", step)


def _still_there(content: bytes | None) -> bytes:
    """What a phase froze; it can only be missing when the round has ended since its phase was read."""
    if content is None:
        raise PhaseClosed("the round is over; check in for a new assignment")
    return content
