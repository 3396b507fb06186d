"""A whole round in one process, for tests: every state and message goes through its bytes on the way."""

import hashlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from pydantic import BaseModel

from fedrec_protocol.secagg.bitmap import encode_bitmap
from fedrec_protocol.secagg.descriptor import Deadlines, RoundDescriptor, SignedDescriptor
from fedrec_protocol.secagg.errors import Reason, Refused
from fedrec_protocol.secagg.grid import Grid
from fedrec_protocol.secagg.messages import (
    Acknowledgement,
    DeviceCertificate,
    Roster,
    Shares,
    Survivors,
    survivors_payload,
)
from fedrec_protocol.secagg.packing import unpack
from fedrec_protocol.secagg.participant import Device, Terms, join, load, save
from fedrec_protocol.secagg.roster import build_roster, check_advert
from fedrec_protocol.secagg.server.context import RosteredRound
from fedrec_protocol.secagg.server.reveals import CheckedReveal, Sets, check_reveal
from fedrec_protocol.secagg.server.sharing import check_shares, freeze_sharers, inbox_of
from fedrec_protocol.secagg.server.survivors import acknowledgements_for, check_acknowledgement, freeze_survivors
from fedrec_protocol.secagg.server.unmasking import recover_masks, unmask

BASE_DIGEST = hashlib.sha256(b"base model").digest()
M = TypeVar("M", bound=BaseModel)


class Stream:
    """Deterministic bytes that look random: SHA-256 in counter mode, for tests and test vectors only."""

    def __init__(self, seed: str) -> None:
        self._seed, self._counter, self._buffer = seed, 0, b""

    def __call__(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._buffer += hashlib.sha256(f"{self._seed} {self._counter}".encode()).digest()
            self._counter += 1
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken


REGISTRY = Ed25519PrivateKey.from_private_bytes(Stream("registry")(32))
SERVER = Ed25519PrivateKey.from_private_bytes(Stream("server")(32))


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def device(name: str, registry: Ed25519PrivateKey = REGISTRY) -> Device:
    key = Ed25519PrivateKey.from_private_bytes(Stream(f"device {name}")(32))
    unsigned = DeviceCertificate(client_id=name, device_key=public(key), signature=bytes(64))
    certificate = unsigned.model_copy(update={"signature": registry.sign(unsigned.payload())})
    return Device(certificate=certificate, sign=key.sign)


def grid(**changes: Any) -> Grid:
    bounds: dict[str, Any] = {"clipping_norm": 1.0, "maximum_weight": 1, "fraction_bits": 10}
    return Grid(**{"coordinates": 8, "modulus_bits": 24, "value_bits": 16, **bounds, **changes})


def descriptor(*, participants: int = 100, **changes: Any) -> RoundDescriptor:
    fields: dict[str, Any] = {
        "task_id": "films",
        "round_number": 7,
        "nonce": bytes(range(32)),
        "base_digest": BASE_DIGEST,
        "grid": grid(),
        "maximum_participants": participants,
        "minimum_survivors": 5,
        "deadlines": Deadlines(advertise=1000, share=1060, report=1120, acknowledge=1180, reveal=1240),
    }
    return RoundDescriptor(**{**fields, **changes})


def signed(stated: RoundDescriptor, key: Ed25519PrivateKey = SERVER) -> SignedDescriptor:
    return SignedDescriptor(descriptor=stated, signature=key.sign(stated.round_id))


def terms(**changes: Any) -> Terms:
    keys = {"registry_key": public(REGISTRY), "server_key": public(SERVER)}
    return Terms(**{**keys, "base_digest": BASE_DIGEST, **changes})


def over_the_wire(message: M) -> M:
    return type(message).model_validate_json(message.model_dump_json())


def restarted(state: Any) -> Any:
    """The state as another process finds it."""
    return load(save(state))


@dataclass
class Round:
    """One round; each method runs one phase for the participants that are named by position."""

    stated: RoundDescriptor
    names: list[str]
    rostered: RosteredRound = field(init=False)
    states: dict[int, Any] = field(default_factory=dict)
    devices: dict[int, Device] = field(default_factory=dict)
    entropies: dict[int, Stream] = field(default_factory=dict)
    shares: dict[int, Shares] = field(default_factory=dict)
    bodies: dict[int, bytes] = field(default_factory=dict)
    acks: dict[int, Acknowledgement] = field(default_factory=dict)
    reveals: list[CheckedReveal] = field(default_factory=list)
    sharers: frozenset[int] = frozenset()
    survivors: Survivors = field(init=False)

    @classmethod
    def of(cls, count: int, **changes: Any) -> "Round":
        """A round whose roster is published."""
        stated = changes.pop("stated", None) or descriptor(**changes)
        this = cls(stated, [f"device-{index:04d}" for index in range(count)])
        this.advertise()
        return this

    def advertise(self) -> None:
        joined = {}
        for name in self.names:
            entropy = Stream(f"participant {name}")
            theirs = terms(base_digest=self.stated.base_digest)
            state = restarted(join(over_the_wire(signed(self.stated)), device(name), theirs, entropy))
            check_advert(state.answer, self.stated.round_id, public(REGISTRY))
            joined[state.answer.certificate.client_id] = (state, device(name), entropy)
        self.roster = build_roster(self.stated, [over_the_wire(s.answer) for s, _, _ in joined.values()], SERVER)
        self.rostered = RosteredRound(self.stated, self.roster.adverts)
        for name, (state, who, entropy) in joined.items():
            position = self.rostered.position_of(name)
            self.states[position], self.devices[position], self.entropies[position] = state, who, entropy

    @property
    def everybody(self) -> frozenset[int]:
        return frozenset(range(self.rostered.size))

    def share(self, without: Iterable[int] = (), roster: Roster | None = None) -> None:
        for position in sorted(self.everybody - set(without)):
            state = self.states[position].on_roster(
                over_the_wire(roster or self.roster), self.devices[position].sign, self.entropies[position]
            )
            self.states[position] = restarted(state)
            self.accept_shares(position, over_the_wire(state.answer))

    def accept_shares(self, position: int, shares: Shares) -> None:
        check_shares(self.rostered, position, shares)
        self.shares[position] = shares

    def report(self, vectors: Callable[[int], NDArray[np.int64]], without: Iterable[int] = ()) -> None:
        self.sharers = frozenset(self.shares)
        freeze_sharers(self.rostered, self.sharers)
        for position in sorted(self.sharers - set(without)):
            inbox = over_the_wire(inbox_of(self.rostered, position, self.shares))
            state, self.bodies[position] = self.states[position].on_inbox(inbox, vectors(position))
            self.states[position] = restarted(state)

    def acknowledge(self, without: Iterable[int] = ()) -> None:
        self.survivors = freeze_survivors(self.rostered, self.sharers, frozenset(self.bodies), SERVER)
        for position in sorted(set(self.bodies) - set(without)):
            self.states[position] = restarted(
                self.states[position].on_survivors(over_the_wire(self.survivors), self.devices[position].sign)
            )
            self.accept_ack(position, over_the_wire(self.states[position].answer))

    def accept_ack(self, position: int, ack: Acknowledgement) -> None:
        check_acknowledgement(self.rostered, position, ack, self.survivors.survivors)
        self.acks[position] = ack

    @property
    def sets(self) -> Sets:
        return Sets(self.sharers, frozenset(self.bodies), self.survivors.survivors)

    def reveal(self, without: Iterable[int] = ()) -> None:
        for position in sorted(set(self.acks) - set(without)):
            acks = over_the_wire(acknowledgements_for(self.rostered, position, self.acks))
            self.states[position] = restarted(
                self.states[position].on_acknowledgements(acks, self.devices[position].sign)
            )
            answer = over_the_wire(self.states[position].answer)
            self.reveals.append(check_reveal(self.rostered, position, answer, self.sets, self.shares))

    def folded(self) -> NDArray[Any]:
        total = np.zeros(self.stated.grid.coordinates, np.uint64)
        for body in self.bodies.values():
            total += unpack(body, self.stated.grid)
        return total

    def sum(self) -> NDArray[np.int64]:
        masks = recover_masks(self.rostered, self.sets, self.reveals)
        return unmask(self.folded(), masks, self.stated.grid)


def vector_of(position: int, stated: Grid | None = None) -> NDArray[np.int64]:
    """A vector that differs from everybody else's, with both signs."""
    size = 8 if stated is None else stated.coordinates
    return np.random.default_rng(position).integers(-(2**15), 2**15, size)


def sum_of(positions: Iterable[int], stated: Grid | None = None) -> NDArray[np.int64]:
    total: NDArray[np.int64] = np.sum([vector_of(position, stated) for position in positions], axis=0)
    return total


def survivors_message(this: Round, positions: frozenset[int]) -> Survivors:
    """A set as a dishonest server signs it, whatever it is."""
    bitmap = encode_bitmap(positions, this.rostered.size)
    payload = survivors_payload(this.rostered.round_id, this.rostered.roster_hash, bitmap)
    return Survivors(survivors=bitmap, signature=SERVER.sign(payload))


def reported(count: int = 9, **changes: object) -> Round:
    this = Round.of(count, **changes)
    this.share()
    this.report(vector_of)
    return this


def refusal(reason: Reason) -> AbstractContextManager[Any]:
    return pytest.raises(Refused, match=f"^{reason}:")
