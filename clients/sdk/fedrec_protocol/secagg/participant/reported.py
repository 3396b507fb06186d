"""Phase 3: a participant has masked its vector; what is left are the shares it holds for others."""

from typing import Literal

from fedrec_protocol.base import Message
from fedrec_protocol.secagg.encoding import Blob, Bytes32
from fedrec_protocol.secagg.errors import Reason, Refused
from fedrec_protocol.secagg.keys import verifies
from fedrec_protocol.secagg.messages import Acknowledgement, Survivors, acknowledgement_payload, survivors_payload
from fedrec_protocol.secagg.participant.acknowledged import Acknowledged
from fedrec_protocol.secagg.participant.held import HeldShares
from fedrec_protocol.secagg.participant.rostered import Place
from fedrec_protocol.secagg.participant.terms import Signer


class Reported(Message):
    """The vector is masked; the body may be sent."""

    phase: Literal["reported"] = "reported"
    """Which state this is."""
    place: Place
    """The round and one's neighbours."""
    sharers: Blob
    """Bitmap of those with whom the vector was masked."""
    held: tuple[HeldShares, ...]
    """Shares of the neighbours' secrets and of one's own."""
    body_digest: Bytes32
    """SHA-256 of the masked report: POST it, however often, unchanged."""

    def on_survivors(self, message: Survivors, sign: Signer) -> Acknowledged:
        """Agree on whose reports are in the sum.

        Raises:
            Refused: a set that is too small, without oneself, with somebody who never shared, or not signed.
        """
        place = self.place
        payload = survivors_payload(place.round_id, place.roster_hash, message.survivors)
        if not verifies(place.server_key, message.signature, payload):
            raise Refused(Reason.BAD_SIGNATURE, "the survivors are not signed by the aggregator for this round")
        survivors = place.read_set(message.survivors)
        place.require_cohort(survivors)
        if not survivors <= place.read_set(self.sharers):
            raise Refused(Reason.INCONSISTENT_SETS, "a survivor never shared")
        signature = sign(acknowledgement_payload(place.round_id, place.roster_hash, message.survivors))
        return Acknowledged(
            place=place,
            sharers=self.sharers,
            held=self.held,
            survivors=message.survivors,
            answer=Acknowledgement(signature=signature),
        )
