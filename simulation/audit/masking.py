"""Masked reports, as the server of a secure round receives them: made by the participants' own code."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from fedrec_protocol.secagg.descriptor import RoundDescriptor, SignedDescriptor
from fedrec_protocol.secagg.grid import to_signed
from fedrec_protocol.secagg.messages import DeviceCertificate
from fedrec_protocol.secagg.packing import unpack
from fedrec_protocol.secagg.participant import Device, Terms, join
from fedrec_protocol.secagg.roster import build_roster
from fedrec_protocol.secagg.server.context import RosteredRound
from fedrec_protocol.secagg.server.sharing import inbox_of


def masked_reports(descriptor: RoundDescriptor, vectors: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """What reaches the server when these vectors are reported in one round.

    Args:
        descriptor: The round.
        vectors: Everybody's integers, each of shape (coordinates,).

    Returns:
        In the same order: the residues of smallest magnitude, int64, shape (coordinates,).
    """
    server_key, registry = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    terms = Terms(registry_key=_public(registry), server_key=_public(server_key), base_digest=descriptor.base_digest)
    signed = SignedDescriptor(descriptor=descriptor, signature=server_key.sign(descriptor.round_id))
    devices = [_device(f"person-{index}", registry) for index in range(len(vectors))]
    joined = [join(signed, device, terms, os.urandom) for device in devices]
    roster = build_roster(descriptor, [state.answer for state in joined], server_key)
    round_ = RosteredRound(descriptor, roster.adverts)
    positions = [round_.position_of(device.certificate.client_id) for device in devices]
    rostered = [state.on_roster(roster, device.sign, os.urandom) for state, device in zip(joined, devices, strict=True)]
    shares: dict[int, Any] = {place: state.answer for place, state in zip(positions, rostered, strict=True)}
    received = []
    for place, state, vector in zip(positions, rostered, vectors, strict=True):
        _, body = state.on_inbox(inbox_of(round_, place, shares), vector)
        received.append(to_signed(unpack(body, descriptor.grid), descriptor.grid.modulus_bits))
    return received


def _device(name: str, registry: Ed25519PrivateKey) -> Device:
    key = Ed25519PrivateKey.generate()
    unsigned = DeviceCertificate(client_id=name, device_key=_public(key), signature=bytes(64))
    return Device(unsigned.model_copy(update={"signature": registry.sign(unsigned.payload())}), key.sign)


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()
