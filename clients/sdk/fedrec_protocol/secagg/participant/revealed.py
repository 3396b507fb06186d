"""Phase 5: a participant has revealed its shares and holds no more secrets."""

from typing import Literal

from fedrec_protocol.base import Message
from fedrec_protocol.secagg.encoding import Blob
from fedrec_protocol.secagg.messages import Reveal
from fedrec_protocol.secagg.participant.rostered import Place


class Revealed(Message):
    """The last answer may be sent; keep the round id for ever."""

    phase: Literal["revealed"] = "revealed"
    """Which state this is."""
    place: Place
    """The round and one's neighbours."""
    sharers: Blob
    """Bitmap of those with whom the vector was masked."""
    survivors: Blob
    """Bitmap of the set that was agreed on."""
    answer: Reveal
    """PUT reveal."""
