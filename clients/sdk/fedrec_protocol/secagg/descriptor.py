"""What all participants of a round agree on before the first key is made, and its hash: the round id."""

import hashlib
from functools import cached_property
from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from fedrec_protocol.base import Message
from fedrec_protocol.secagg.encoding import Bytes32, Signature, transcript
from fedrec_protocol.secagg.grid import Grid

HARD_FLOOR = 5
"""No sum over fewer participants is ever released, whatever an operator configures."""
COMPLETE_GRAPH_LIMIT = 128
"""Rosters up to this size use the complete graph; larger ones the ring."""

_UnixSeconds = int


class Deadlines(Message):
    """When each phase closes, in Unix seconds of the server's clock."""

    advertise: _UnixSeconds = Field(ge=0)
    """Keys are accepted until then."""
    share: _UnixSeconds = Field(ge=0)
    """Encrypted shares are accepted until then."""
    report: _UnixSeconds = Field(ge=0)
    """Masked reports are accepted until then."""
    acknowledge: _UnixSeconds = Field(ge=0)
    """Agreements on the survivors are accepted until then."""
    reveal: _UnixSeconds = Field(ge=0)
    """Revealed shares are accepted until then."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        times = (self.advertise, self.share, self.report, self.acknowledge, self.reveal)
        if list(times) != sorted(times):
            raise ValueError("phases close in their order")
        return self


class Ring(Message):
    """The k-regular graph of a large round: neighbours are the k/2 next on either side of a random ring."""

    degree: int = Field(ge=2, multiple_of=2)
    """Neighbours of each participant, k."""
    threshold: PositiveInt
    """Shares that recover a secret, t; more than k/2, or two disjoint halves could each recover one."""

    @model_validator(mode="after")
    def _majority(self) -> Self:
        if not self.degree < 2 * self.threshold <= 2 * self.degree:
            raise ValueError("the threshold must lie above half of the degree and not above the degree")
        return self


class RoundDescriptor(Message):
    """One round of secure aggregation: what is summed, among whom, and until when.

    Its hash salts every key of the round, so participants who were shown different descriptors (another
    base model, a lower floor) do not share any mask: their sum is noise instead of a leak
    (Pasquini et al., CCS 2022, https://arxiv.org/abs/2111.07380).
    """

    protocol: Literal["fedrec-secagg-1"] = "fedrec-secagg-1"
    """Version of the protocol."""
    task_id: str
    """The task."""
    round_number: PositiveInt
    """Number of the round in its task."""
    nonce: Bytes32
    """Fresh random bytes: no two rounds share an id."""
    base_digest: Bytes32
    """SHA-256 of the base model's weights file."""
    grid: Grid
    """How vectors of real numbers become integers, and modulo what they are summed."""
    maximum_participants: PositiveInt
    """Largest size of the roster, N_max; with the grid it rules out overflow."""
    minimum_survivors: int = Field(ge=HARD_FLOOR)
    """Fewest participants in a released sum, U_min."""
    ring: Ring | None = None
    """The graph of rosters above 128; null where there can be none."""
    noise_variance: int = Field(default=0, ge=0)
    """Variance, in squared grid steps, of the Skellam noise each participant adds; 0 for none."""
    deadlines: Deadlines
    """When each phase closes."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self.grid.require_room_for(self.maximum_participants)
        if self.minimum_survivors > self.maximum_participants:
            raise ValueError("the floor of survivors lies above the largest roster")
        if (self.ring is None) != (self.maximum_participants <= COMPLETE_GRAPH_LIMIT):
            raise ValueError(f"a ring is stated for rosters above {COMPLETE_GRAPH_LIMIT}, and only for them")
        return self

    @cached_property
    def canonical_bytes(self) -> bytes:
        """The bytes that every implementation hashes to the same round id."""
        grid, ring, until = self.grid, self.ring, self.deadlines
        return transcript(
            f"{self.protocol} round",
            *(self.task_id, self.round_number, self.nonce, self.base_digest),
            *(grid.coordinates, grid.modulus_bits, grid.value_bits, grid.fraction_bits),
            *(float(grid.clipping_norm), grid.maximum_weight),
            *(self.maximum_participants, self.minimum_survivors),
            *((ring.degree, ring.threshold) if ring else (None, None)),
            self.noise_variance,
            *(until.advertise, until.share, until.report, until.acknowledge, until.reveal),
        )

    @cached_property
    def round_id(self) -> bytes:
        """SHA-256 of the canonical bytes: the salt of every key of the round."""
        return hashlib.sha256(self.canonical_bytes).digest()


class SignedDescriptor(Message):
    """A descriptor that the server stands for."""

    descriptor: RoundDescriptor
    """The round."""
    signature: Signature
    """The server's, over the round id."""
