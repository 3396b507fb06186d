"""A participant's side of a round: one frozen state per phase, each holding only what later phases need.

`join` makes the first state; `on_roster`, `on_inbox`, `on_survivors` and `on_acknowledgements` return the next
one or refuse. Save a state before sending its `answer`: then a restart sends the same answer again, and
no round is ever answered twice. Secrets leave the state as soon as they are of no more use.
"""

from fedrec_protocol.secagg.participant.acknowledged import Acknowledged
from fedrec_protocol.secagg.participant.joined import Joined, join
from fedrec_protocol.secagg.participant.reported import Reported
from fedrec_protocol.secagg.participant.revealed import Revealed
from fedrec_protocol.secagg.participant.saved import Participation, load, save
from fedrec_protocol.secagg.participant.shared import Shared
from fedrec_protocol.secagg.participant.terms import Device, Terms

__all__ = [
    "Acknowledged",
    "Device",
    "Joined",
    "Participation",
    "Reported",
    "Revealed",
    "Shared",
    "Terms",
    "join",
    "load",
    "save",
]
