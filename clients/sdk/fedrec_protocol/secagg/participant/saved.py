"""A participant's state between processes: what is not in it any more cannot be answered a second time."""

from typing import Annotated

from pydantic import Field, TypeAdapter

from fedrec_protocol.secagg.participant.acknowledged import Acknowledged
from fedrec_protocol.secagg.participant.joined import Joined
from fedrec_protocol.secagg.participant.reported import Reported
from fedrec_protocol.secagg.participant.revealed import Revealed
from fedrec_protocol.secagg.participant.shared import Shared

Participation = Annotated[Joined | Shared | Reported | Acknowledged | Revealed, Field(discriminator="phase")]
"""A participant's state in one round."""

_ADAPTER: TypeAdapter[Participation] = TypeAdapter(Participation)


def save(state: Participation) -> bytes:
    """The state as JSON. It holds secrets: keep it where the device keeps keys."""
    return _ADAPTER.dump_json(state)


def load(saved: bytes) -> Participation:
    """The state that `save` wrote."""
    return _ADAPTER.validate_json(saved)
