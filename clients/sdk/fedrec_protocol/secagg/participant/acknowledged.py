"""Phase 4: a participant has agreed on the survivors, and waits for its neighbours to agree too."""

from typing import Literal

from fedrec_protocol.base import Message
from fedrec_protocol.secagg.blobs import join_entries, split_entries
from fedrec_protocol.secagg.encoding import Blob
from fedrec_protocol.secagg.errors import Reason, Refused
from fedrec_protocol.secagg.keys import verifies
from fedrec_protocol.secagg.messages import (
    NO_SHARE,
    SIGNATURE_BYTES,
    Acknowledgement,
    Acknowledgements,
    Reveal,
    acknowledgement_payload,
)
from fedrec_protocol.secagg.participant.held import HeldShares
from fedrec_protocol.secagg.participant.revealed import Revealed
from fedrec_protocol.secagg.participant.rostered import Place
from fedrec_protocol.secagg.participant.terms import Signer


class Acknowledged(Message):
    """The survivors are agreed; the acknowledgement may be sent."""

    phase: Literal["acknowledged"] = "acknowledged"
    """Which state this is."""
    place: Place
    """The round and one's neighbours."""
    sharers: Blob
    """Bitmap of those with whom the vector was masked."""
    held: tuple[HeldShares, ...]
    """Shares of the neighbours' secrets and of one's own."""
    survivors: Blob
    """Bitmap of the set that was agreed on."""
    answer: Acknowledgement
    """PUT ack."""

    def on_acknowledgements(self, message: Acknowledgements, sign: Signer) -> Revealed:
        """Reveal one share of each dealer: the seed's if it survived, else the mask key's; never both.

        Raises:
            Refused: fewer than t of the holders of one's shares signed these very survivors.
        """
        place = self.place
        place.require_threshold(place.is_own_holder + self._agreeing(message), "acknowledgements of the same survivors")
        survivors = place.read_set(self.survivors)
        chosen = {pair.dealer: pair.seed if pair.dealer in survivors else pair.mask_key for pair in self.held}
        dealers = place.read_set(self.sharers) & frozenset(place.holders)
        shares = join_entries({dealer: chosen.get(dealer, NO_SHARE) for dealer in dealers})
        unsigned = Reveal(shares=shares, signature=bytes(64))
        signature = sign(unsigned.payload(place.round_id, place.roster_hash, self.survivors))
        return Revealed(
            place=place,
            sharers=self.sharers,
            survivors=self.survivors,
            answer=unsigned.model_copy(update={"signature": signature}),
        )

    def _agreeing(self, message: Acknowledgements) -> int:
        """How many neighbours, survivors themselves, signed the survivors that this participant saw."""
        place = self.place
        signers = place.read_set(message.signers)
        try:
            signatures = split_entries(message.signatures, signers, SIGNATURE_BYTES)
        except ValueError as error:
            raise Refused(Reason.MALFORMED, str(error)) from error
        payload = acknowledgement_payload(place.round_id, place.roster_hash, self.survivors)
        survivors = place.read_set(self.survivors)
        return sum(
            verifies(neighbour.device_key, signatures[neighbour.position], payload)
            for neighbour in place.neighbours
            if neighbour.position in signers & survivors
        )
