"""What surrounds the messages of `fedrec_protocol.secagg` on the wire: the offer to join, and the phases."""

from enum import StrEnum

from fedrec_protocol.base import Response
from fedrec_protocol.secagg.descriptor import SignedDescriptor
from fedrec_protocol.secagg.encoding import Bytes32
from fedrec_protocol.secagg.messages import DeviceCertificate

MASKED_MEDIA_TYPE = "application/octet-stream"
"""Media type of a masked report: b / 8 little-endian bytes a coordinate, and nothing else."""


class SecurePhase(StrEnum):
    """The phases of a secure round, in their order."""

    ADVERTISING = "advertising"  # participants train, and join with their keys
    SHARING = "sharing"  # the roster is frozen; shares of secrets are dealt
    REPORTING = "reporting"  # the sharers are frozen; masked reports are accepted
    CONFIRMING = "confirming"  # the survivors are frozen; they sign that they saw the same set
    REVEALING = "revealing"  # the signatures are frozen; survivors reveal one share of each secret
    UNMASKING = "unmasking"  # all is there; the worker takes the masks off the sum

    @property
    def place(self) -> int:
        """Position in the order, from 0."""
        return list(SecurePhase).index(self)


class PhaseView(Response):
    """How far a secure round is."""

    phase: SecurePhase
    """The phase that is open."""
    answered: int
    """Participants who have answered in it."""
    expected: int
    """Participants who can: when all have, the phase closes before its deadline."""


class SecureOffer(Response):
    """What a participant needs to join a secure round."""

    signed: SignedDescriptor
    """The round, signed by the aggregator."""
    certificate: DeviceCertificate
    """The device registry's word for this participant's own device key."""
    server_key: Bytes32
    """Ed25519 public key of the aggregator's signatures in secure rounds."""
    registry_key: Bytes32
    """Ed25519 public key of the device registry; an app may pin it."""
