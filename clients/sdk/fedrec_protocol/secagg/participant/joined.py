"""Phase 1: a participant has made its keys and advertises them."""

from fractions import Fraction
from typing import Literal

from fedrec_protocol.base import Message
from fedrec_protocol.secagg import keys
from fedrec_protocol.secagg.descriptor import Ring, RoundDescriptor, SignedDescriptor
from fedrec_protocol.secagg.encoding import Bytes32
from fedrec_protocol.secagg.errors import Reason, Refused
from fedrec_protocol.secagg.graph import Graph, round_graph
from fedrec_protocol.secagg.keys import Entropy, KeyPair
from fedrec_protocol.secagg.messages import Advert, Roster
from fedrec_protocol.secagg.participant.dealing import deal
from fedrec_protocol.secagg.participant.rostered import Neighbour, Place
from fedrec_protocol.secagg.participant.shared import Secrets, Shared
from fedrec_protocol.secagg.participant.terms import Device, Signer, Terms
from fedrec_protocol.secagg.ring_parameters import is_private
from fedrec_protocol.secagg.roster import has_duplicates, is_genuine, roster_hash


def join(signed: SignedDescriptor, device: Device, terms: Terms, entropy: Entropy) -> "Joined":
    """Make keys for a round, if it is one to take part in.

    Raises:
        Refused: a round that was joined before, of another base model, with too low a floor, or not signed
            by the aggregator.
    """
    descriptor = signed.descriptor
    _require_acceptable(signed, terms)
    mask_private, share_private, seed = entropy(32), entropy(32), entropy(32)
    unsigned = Advert(
        mask_key=KeyPair(mask_private).public,
        share_key=KeyPair(share_private).public,
        seed_commitment=keys.seed_commitment(seed, descriptor.round_id),
        certificate=device.certificate,
        signature=bytes(64),
    )
    return Joined(
        descriptor=descriptor,
        registry_key=terms.registry_key,
        server_key=terms.server_key,
        corrupt=terms.corrupt,
        secrets=Secrets(mask_private=mask_private, share_private=share_private, seed=seed),
        answer=unsigned.model_copy(update={"signature": device.sign(unsigned.payload(descriptor.round_id))}),
    )


def _require_acceptable(signed: SignedDescriptor, terms: Terms) -> None:
    descriptor = signed.descriptor
    if not keys.verifies(terms.server_key, signed.signature, descriptor.round_id):
        raise Refused(Reason.BAD_SIGNATURE, "the descriptor is not the aggregator's")
    if descriptor.round_id in terms.answered:
        raise Refused(Reason.ANSWERED_DIFFERENTLY, "this round was joined before")
    if descriptor.base_digest != terms.base_digest:
        raise Refused(Reason.WRONG_MODEL, "the round is about another base model")
    if descriptor.minimum_survivors < terms.minimum_survivors:
        raise Refused(Reason.COHORT_TOO_SMALL, f"{descriptor.minimum_survivors} of {terms.minimum_survivors} demanded")


class Joined(Message):
    """Keys are made; the advert may be sent."""

    phase: Literal["joined"] = "joined"
    """Which state this is."""
    descriptor: RoundDescriptor
    """The round."""
    registry_key: Bytes32
    """The device registry's Ed25519 key."""
    server_key: Bytes32
    """The aggregator's Ed25519 key."""
    corrupt: Fraction
    """Largest fraction of a ring that may collude with the operator."""
    secrets: Secrets
    """This round's secrets."""
    answer: Advert
    """PUT advert."""

    def on_roster(self, roster: Roster, sign: Signer, entropy: Entropy) -> Shared:
        """Check who joined and deal shares of one's secrets to the neighbours.

        Raises:
            Refused: a roster that is too small, not signed, not in order, without oneself, with one key
                twice, on a ring too weak, or with a neighbour who is not enrolled or has a low-order key.
        """
        digest = roster_hash(self.descriptor.round_id, roster.adverts)
        self._require_sound(roster, digest)
        position = roster.adverts.index(self.answer)
        graph = round_graph(self.descriptor, len(roster.adverts), digest)
        self._require_private(graph)
        place = self._place(roster, digest, position, graph)
        return deal(place, self.secrets, sign, entropy)

    def _require_sound(self, roster: Roster, digest: bytes) -> None:
        if not keys.verifies(self.server_key, roster.signature, digest):
            raise Refused(Reason.BAD_SIGNATURE, "the roster is not the aggregator's, or of another round")
        size, floor = len(roster.adverts), self.descriptor.minimum_survivors
        if not floor <= size <= self.descriptor.maximum_participants:
            raise Refused(Reason.COHORT_TOO_SMALL, f"{size} on the roster")
        if has_duplicates(roster.adverts):
            raise Refused(Reason.DUPLICATE_KEY, "a key or a device is on the roster twice")
        if self.answer not in roster.adverts:
            raise Refused(Reason.WRONG_ROSTER, "one's own advert is not on the roster")
        if list(roster.adverts) != sorted(roster.adverts, key=lambda advert: advert.mask_key):
            raise Refused(Reason.WRONG_ROSTER, "the roster is not in canonical order")

    def _require_private(self, graph: Graph) -> None:
        if graph.ring is None:
            return
        stated = Ring(degree=graph.degree, threshold=graph.threshold)
        if not is_private(stated, graph.size, corrupt=self.corrupt, dropouts=self.corrupt):
            raise Refused(Reason.WEAK_GRAPH, f"degree {stated.degree}, threshold {stated.threshold}")

    def _place(self, roster: Roster, digest: bytes, position: int, graph: Graph) -> Place:
        neighbours = []
        for other in graph.neighbours(position):
            advert = roster.adverts[other]
            if not is_genuine(advert, self.descriptor.round_id, self.registry_key):
                raise Refused(Reason.BAD_SIGNATURE, f"the advert at {other} is not an enrolled device's")
            _require_agreeable(advert)
            device_key = advert.certificate.device_key
            neighbours.append(
                Neighbour(position=other, mask_key=advert.mask_key, share_key=advert.share_key, device_key=device_key)
            )
        return Place(
            descriptor=self.descriptor,
            roster_hash=digest,
            roster_size=graph.size,
            threshold=graph.threshold,
            position=position,
            neighbours=tuple(neighbours),
            holders=graph.holders(position),
            server_key=self.server_key,
        )


def _require_agreeable(advert: Advert) -> None:
    try:
        keys.require_agreeable(advert.mask_key)
        keys.require_agreeable(advert.share_key)
    except keys.BadKey as error:
        raise Refused(error.reason, str(error)) from error
