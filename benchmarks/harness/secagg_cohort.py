"""A whole round of secure aggregation in one process, with the CPU time of either side taken apart."""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from fedrec_protocol.secagg.descriptor import Deadlines, Ring, RoundDescriptor, SignedDescriptor
from fedrec_protocol.secagg.grid import Grid
from fedrec_protocol.secagg.messages import Acknowledgement, DeviceCertificate, Shares
from fedrec_protocol.secagg.packing import unpack
from fedrec_protocol.secagg.participant import Device, Terms, join
from fedrec_protocol.secagg.roster import build_roster, check_advert
from fedrec_protocol.secagg.server.context import RosteredRound
from fedrec_protocol.secagg.server.reveals import Sets, check_reveal
from fedrec_protocol.secagg.server.sharing import check_shares, inbox_of
from fedrec_protocol.secagg.server.survivors import acknowledgements_for, check_acknowledgement, freeze_survivors
from fedrec_protocol.secagg.server.unmasking import recover_masks, unmask

_BASE = hashlib.sha256(b"base").digest()


class Stopwatch:
    """CPU seconds of this process, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Add what happens inside to `name`."""
        started = time.process_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - started


@dataclass
class Outcome:
    """What a round took and gave."""

    is_exact: bool
    server_seconds: float
    participant_seconds: list[float]
    """CPU of each survivor over all its phases."""
    handshake_bytes: list[int]
    """Bytes that each survivor sent besides the masked vector: messages as JSON."""
    vector_bytes: int
    """Bytes of one masked vector."""
    fold_seconds: float
    """CPU of the server for reading one masked vector and adding it."""


@dataclass
class _Member:
    device: Device
    watch: Stopwatch = field(default_factory=Stopwatch)
    sent: int = 0
    state: Any = None
    has_reported: bool = False

    @contextmanager
    def at_work(self) -> Iterator[None]:
        with self.watch("participant"):
            yield

    def answer(self) -> Any:
        self.sent += len(self.state.answer.model_dump_json())
        return self.state.answer


@dataclass
class _Round:
    """The server's memory of one round, and the cohort by roster position."""

    rostered: RosteredRound
    server_key: Ed25519PrivateKey
    cohort: dict[int, _Member]
    server: Stopwatch
    shares: dict[int, Shares] = field(default_factory=dict)
    vector_bytes: int = 0

    @property
    def survivors(self) -> dict[int, _Member]:
        """Those whose report was folded."""
        return {position: member for position, member in self.cohort.items() if member.has_reported}


def run_round(participants: int, coordinates: int, dropouts: int, *, ring: Ring | None = None) -> Outcome:
    """Everybody shares; `dropouts` of them never report. Vectors are random integers of 16 bits."""
    this = _joined(participants, _descriptor(participants, coordinates, ring))
    expected, total = _shared_and_reported(this, dropouts)
    result = _revealed(this, total)
    return Outcome(
        is_exact=bool(np.array_equal(result, expected)),
        server_seconds=this.server.seconds["server"],
        participant_seconds=[member.watch.seconds["participant"] for member in this.survivors.values()],
        handshake_bytes=[member.sent for member in this.survivors.values()],
        vector_bytes=this.vector_bytes,
        fold_seconds=this.server.seconds["fold"] / len(this.survivors),
    )


def _joined(participants: int, stated: RoundDescriptor) -> _Round:
    """Keys are advertised and the roster is published and answered."""
    registry, server_key, server = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate(), Stopwatch()
    terms = Terms(_public(registry), _public(server_key), _BASE)
    signed = SignedDescriptor(descriptor=stated, signature=server_key.sign(stated.round_id))
    members = [_Member(_device(f"device-{index}", registry)) for index in range(participants)]
    for member in members:
        with member.at_work():
            member.state = join(signed, member.device, terms, os.urandom)
        with server("server"):
            check_advert(member.answer(), stated.round_id, terms.registry_key)
    with server("server"):
        roster = build_roster(stated, [member.state.answer for member in members], server_key)
        rostered = RosteredRound(stated, roster.adverts)
    for member in members:
        with member.at_work():
            member.state = member.state.on_roster(roster, member.device.sign, os.urandom)
    cohort = {rostered.position_of(member.device.certificate.client_id): member for member in members}
    return _Round(rostered, server_key, cohort, server)


def _shared_and_reported(this: _Round, dropouts: int) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """The sum of the survivors' vectors, and the folded sum of their masked reports."""
    grid = this.rostered.descriptor.grid
    expected, total = np.zeros(grid.coordinates, np.int64), np.zeros(grid.coordinates, np.uint64)
    for position, member in this.cohort.items():
        this.shares[position] = member.answer()
        with this.server("server"):
            check_shares(this.rostered, position, this.shares[position])
    for position in sorted(this.cohort)[dropouts:]:
        member = this.cohort[position]
        vector = np.random.default_rng(position).integers(-(2**15), 2**15, grid.coordinates)
        expected += vector
        with this.server("server"):
            inbox = inbox_of(this.rostered, position, this.shares)
        with member.at_work():
            member.state, body = member.state.on_inbox(inbox, vector)
        member.has_reported = True
        this.vector_bytes = len(body)
        with this.server("server"), this.server("fold"):
            total += unpack(body, grid)
    return expected, total


def _revealed(this: _Round, total: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The survivors agree and reveal, and the masks are taken off the sum."""
    rostered, survivors, sharers = this.rostered, this.survivors, frozenset(this.shares)
    with this.server("server"):
        published = freeze_survivors(rostered, sharers, frozenset(survivors), this.server_key)
    acks: dict[int, Acknowledgement] = {}
    for position, member in survivors.items():
        with member.at_work():
            member.state = member.state.on_survivors(published, member.device.sign)
        acks[position] = member.answer()
        with this.server("server"):
            check_acknowledgement(rostered, position, acks[position], published.survivors)
    sets, reveals = Sets(sharers, frozenset(survivors), published.survivors), []
    for position, member in survivors.items():
        with this.server("server"):
            answer = acknowledgements_for(rostered, position, acks)
        with member.at_work():
            member.state = member.state.on_acknowledgements(answer, member.device.sign)
        with this.server("server"):
            reveals.append(check_reveal(rostered, position, member.answer(), sets, this.shares))
    with this.server("server"):
        return unmask(total, recover_masks(rostered, sets, reveals), rostered.descriptor.grid)


def _descriptor(participants: int, coordinates: int, ring: Ring | None) -> RoundDescriptor:
    modulus_bits = 24 if participants < 2**7 else 32
    grid = Grid(
        coordinates=coordinates,
        modulus_bits=modulus_bits,
        value_bits=16,
        fraction_bits=14,
        clipping_norm=1.0,
        maximum_weight=1,
    )
    return RoundDescriptor(
        task_id="benchmark",
        round_number=1,
        nonce=os.urandom(32),
        base_digest=_BASE,
        grid=grid,
        maximum_participants=participants,
        minimum_survivors=32,
        ring=ring,
        deadlines=Deadlines(advertise=1, share=2, report=3, acknowledge=4, reveal=5),
    )


def _device(name: str, registry: Ed25519PrivateKey) -> Device:
    key = Ed25519PrivateKey.generate()
    unsigned = DeviceCertificate(client_id=name, device_key=_public(key), signature=bytes(64))
    signature = registry.sign(unsigned.payload())
    return Device(certificate=unsigned.model_copy(update={"signature": signature}), sign=key.sign)


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()
