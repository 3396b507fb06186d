"""A participant's state between processes, and the rule that nothing is answered twice."""

from typing import Annotated

from pydantic import Field, TypeAdapter

from fedrec_protocol.secagg.errors import Reason, Refused
from fedrec_protocol.secagg.messages import Acknowledgements, Inbox, Roster, Survivors
from fedrec_protocol.secagg.participant.acknowledged import Acknowledged
from fedrec_protocol.secagg.participant.joined import Joined
from fedrec_protocol.secagg.participant.reported import Reported
from fedrec_protocol.secagg.participant.revealed import Revealed
from fedrec_protocol.secagg.participant.shared import Shared
from fedrec_protocol.secagg.roster import roster_hash

Participation = Annotated[Joined | Shared | Reported | Acknowledged | Revealed, Field(discriminator="phase")]
"""A participant's state in one round."""

_ADAPTER: TypeAdapter[Participation] = TypeAdapter(Participation)


def save(state: Participation) -> bytes:
    """The state as JSON. It holds secrets: keep it where the device keeps keys."""
    return _ADAPTER.dump_json(state)


def load(saved: bytes) -> Participation:
    """The state that `save` wrote."""
    return _ADAPTER.validate_json(saved)


def is_repeated(state: Participation, message: Roster | Inbox | Survivors | Acknowledgements) -> bool:
    """Whether `state` came of this very message, or of a later one: then send the answer again.

    Raises:
        Refused: another message of this kind was answered, or an earlier one is still missing.
    """
    match message, state:
        case (
            (Acknowledgements(), Acknowledged())
            | (Survivors(), Reported())
            | (Inbox(), Shared())
            | (Roster(), Joined())
        ):
            return False
        case (Acknowledgements(), Revealed()):
            return True
        case (Survivors(), Acknowledged() | Revealed()):
            is_same = message.survivors == state.survivors
        case (Inbox(), Reported() | Acknowledged() | Revealed()):
            is_same = message.sharers == state.sharers
        case (Roster(), Shared() | Reported() | Acknowledged() | Revealed()):
            is_same = roster_hash(state.place.round_id, message.adverts) == state.place.roster_hash
        case _:
            raise Refused(Reason.OUT_OF_ORDER, f"{type(message).__name__} while {state.phase}")
    if not is_same:
        raise Refused(Reason.ANSWERED_DIFFERENTLY, f"another {type(message).__name__} was answered in this round")
    return True
