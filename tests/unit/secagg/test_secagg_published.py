"""The published vectors are enough to implement from: read by the slow implementation, which shares no code with ours.

Beside the slow arithmetic only two primitives of `cryptography` are used, Ed25519 and AES-GCM.
"""

import hashlib
import json
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.unit.secagg import slow_secagg as slow
from tests.unit.secagg.vectors import FOLDER


def published(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def raw(text: str) -> bytes:
    return slow.from_base64url(text)


def sha256(message: bytes) -> bytes:
    return hashlib.sha256(message).digest()


def test_shares_are_the_polynomials_values_and_any_threshold_of_them_gives_the_secret() -> None:
    for case in published("shamir.json"):
        secret = int(case["secret"], 16)
        coefficients = [secret, *reversed([int(each, 16) for each in case["coefficients_highest_first"]])]
        shares = {int(point): int(share, 16) for point, share in case["shares"].items()}
        assert shares == {point: slow.polynomial(coefficients, point) for point in shares}
        last = dict(list(shares.items())[-case["threshold"] :])
        assert slow.lagrange_at_zero(last) == secret


def test_keys_are_agreed_and_derived() -> None:
    stated = {name: bytes.fromhex(value) for name, value in published("keys.json").items()}
    ours, theirs, rid = stated["our_private"], stated["their_public"], stated["round_id"]
    assert slow.x25519_base(ours) == stated["our_public"]
    assert slow.x25519(ours, theirs) == stated["shared_secret"]
    assert slow.pair_mask_key(ours, theirs, rid) == stated["pair_mask_key"]
    assert slow.sealing_key(ours, theirs, rid) == stated["sealing_key"]
    assert slow.own_mask_key(stated["seed"], rid) == stated["own_mask_key"]
    assert slow.commitment(stated["seed"], rid) == stated["seed_commitment"]


def test_masks_are_expanded_added_and_subtracted() -> None:
    for case in published("masks.json"):
        bits, vector = case["modulus_bits"], case["vector"]
        word = next(size for size in (2, 4, 8) if bits <= 8 * size)
        added, subtracted = (
            slow.keystream_words(bytes.fromhex(case[key]), len(vector), word) for key in ("added_key", "subtracted_key")
        )
        expected = [(x + a - s) % 2**bits for x, a, s in zip(vector, added, subtracted, strict=True)]
        assert case["masked"] == expected


def test_a_report_is_rounded_and_its_scalars_are_split() -> None:
    stated = published("quantisation.json")
    grid = stated["grid"]
    values = {
        "weight": stated["weight"],
        "examples": stated["examples"],
        "evaluations": stated["evaluations"],
        "metric 0": int(stated["metrics"][0] * 2**20),
        "clipped": 0,
    }
    limbs = [
        limb
        for scalar in stated["scalars"]
        for limb in slow.limbs_of(values[scalar["name"]], scalar["bits"], grid["value_bits"])
    ]
    assert stated["vector"] == slow.steps_of(stated["update"], stated["weight"], grid["fraction_bits"]) + limbs


def test_the_ring_is_drawn_from_the_roster() -> None:
    stated = published("ring.json")
    size, half = stated["size"], stated["degree"] // 2
    order = slow.ring_order(bytes.fromhex(stated["roster_hash"]), size)
    assert order[:10] == stated["first_of_the_ring"]
    place = order.index(0)
    around = [order[(place + offset) % size] for offset in range(-half, half + 1) if offset]
    assert sorted(around) == stated["neighbours_of_0"]


# ---- the whole round -----------------------------------------------------------------------------------

ROUND = published("round.json")
RID, ROSTER_HASH = bytes.fromhex(ROUND["round_id"]), bytes.fromhex(ROUND["roster_hash"])
ADVERTS = ROUND["roster"]["adverts"]
SIZE, SHARERS = len(ADVERTS), [int(position) for position in ROUND["shares"]]
SURVIVORS = slow.positions_of(raw(ROUND["survivors"]["survivors"]), SIZE)


def key_of(position: int) -> bytes:
    return raw(ADVERTS[position]["certificate"]["device_key"])


def require_signed(key: bytes, signature: str, message: bytes) -> None:
    Ed25519PublicKey.from_public_bytes(key).verify(raw(signature), message)


def advert_transcript(advert: Any) -> bytes:
    certificate = advert["certificate"]
    keys = (raw(advert["mask_key"]), raw(advert["share_key"]), raw(advert["seed_commitment"]))
    return slow.transcript(
        "fedrec-secagg-1 advert", RID, *keys, certificate["client_id"], raw(certificate["device_key"])
    )


def route(dealer: int, holder: int) -> bytes:
    return slow.transcript("fedrec-secagg-1 route", RID, ROSTER_HASH, dealer, holder)


def test_the_round_id_is_the_hash_of_what_the_descriptor_says() -> None:
    said, grid = ROUND["descriptor"], ROUND["descriptor"]["grid"]
    canonical = slow.transcript(
        "fedrec-secagg-1 round",
        *(said["task_id"], said["round_number"], raw(said["nonce"]), raw(said["base_digest"])),
        *(grid["coordinates"], grid["modulus_bits"], grid["value_bits"], grid["fraction_bits"]),
        *(float(grid["clipping_norm"]), grid["maximum_weight"]),
        *(said["maximum_participants"], said["minimum_survivors"], None, None, said["noise_variance"]),
        *said["deadlines"].values(),
    )
    assert canonical.hex() == ROUND["canonical_descriptor"]
    assert sha256(canonical) == RID


def test_the_roster_is_in_order_certified_and_signed() -> None:
    registry, server = bytes.fromhex(ROUND["registry_key"]), bytes.fromhex(ROUND["server_key"])
    keys = [raw(advert["mask_key"]) for advert in ADVERTS]
    assert keys == sorted(keys)
    for advert in ADVERTS:
        device = advert["certificate"]
        certified = slow.transcript("fedrec-secagg-1 device", device["client_id"], raw(device["device_key"]))
        require_signed(registry, device["signature"], certified)
        require_signed(raw(device["device_key"]), advert["signature"], advert_transcript(advert))
    assert sha256(slow.transcript("fedrec-secagg-1 roster", RID, *map(advert_transcript, ADVERTS))) == ROSTER_HASH
    require_signed(server, ROUND["roster"]["signature"], ROSTER_HASH)


def opened(dealer: int, holder: int) -> tuple[bytes, bytes]:
    """The two shares that a dealer sealed for a holder: of its seed, and of its mask key."""
    neighbours = [position for position in range(SIZE) if position != dealer]
    place = neighbours.index(holder)
    sealed = raw(ROUND["shares"][str(dealer)]["sealed"])[94 * place : 94 * (place + 1)]
    private = raw(ROUND["secrets"][str(holder)]["share_private"])
    key = slow.sealing_key(private, raw(ADVERTS[dealer]["share_key"]), RID)
    both = AESGCM(key).decrypt(sealed[:12], sealed[12:], route(dealer, holder))
    return both[:33], both[33:]


def test_shares_open_for_their_holder_are_what_was_digested_and_give_the_secrets() -> None:
    threshold = 2 * SIZE // 3 + 1
    for dealer in SHARERS:
        message = ROUND["shares"][str(dealer)]
        sealed, digests = raw(message["sealed"]), raw(message["digests"])
        assert raw(message["roster_hash"]) == ROSTER_HASH
        said = slow.transcript("fedrec-secagg-1 shares", RID, ROSTER_HASH, sealed, digests)
        require_signed(key_of(dealer), message["signature"], said)
        found: list[dict[int, int]] = [{}, {}]
        for holder in SHARERS:
            if holder == dealer:
                continue
            for kind, share, values in zip(("seed", "mask key"), opened(dealer, holder), found, strict=True):
                digest = sha256(slow.transcript("fedrec-secagg-1 share", kind, route(dealer, holder), share))[:16]
                start = 32 * holder + (16 if kind == "mask key" else 0)
                assert digests[start : start + 16] == digest
                values[holder + 1] = int.from_bytes(share, "big")
        secrets = ROUND["secrets"][str(dealer)]
        for values, name in zip(found, ("seed", "mask_private"), strict=True):
            enough = dict(list(values.items())[:threshold])
            assert slow.lagrange_at_zero(enough).to_bytes(32, "big") == raw(secrets[name])


def test_survivors_are_signed_by_the_server_and_by_everybody() -> None:
    bitmap = raw(ROUND["survivors"]["survivors"])
    said = slow.transcript("fedrec-secagg-1 survivors", RID, ROSTER_HASH, bitmap)
    require_signed(bytes.fromhex(ROUND["server_key"]), ROUND["survivors"]["signature"], said)
    agreed = slow.transcript("fedrec-secagg-1 acknowledgement", RID, ROSTER_HASH, bitmap)
    assert [int(position) for position in ROUND["acknowledgements"]] == SURVIVORS
    for position in SURVIVORS:
        require_signed(key_of(position), ROUND["acknowledgements"][str(position)]["signature"], agreed)
    with pytest.raises(InvalidSignature):
        require_signed(key_of(SURVIVORS[0]), ROUND["acknowledgements"][str(SURVIVORS[1])]["signature"], agreed)


def revealed(dealer: int) -> bytes:
    """The one secret of a dealer that the published reveals give."""
    place, values = SHARERS.index(dealer), {}
    for holder in SURVIVORS:
        message = ROUND["reveals"][str(holder)]
        shares, bitmap = raw(message["shares"]), raw(ROUND["survivors"]["survivors"])
        assert len(shares) == 33 * len(SHARERS)
        said = slow.transcript("fedrec-secagg-1 reveal", RID, ROSTER_HASH, bitmap, shares)
        require_signed(key_of(holder), message["signature"], said)
        values[holder + 1] = int.from_bytes(shares[33 * place : 33 * (place + 1)], "big")
    return slow.lagrange_at_zero(values).to_bytes(32, "big")


def test_the_reveals_take_the_masks_off_the_published_reports() -> None:
    bits = ROUND["descriptor"]["grid"]["modulus_bits"]
    total = [0] * ROUND["descriptor"]["grid"]["coordinates"]
    for position in SURVIVORS:
        body = bytes.fromhex(ROUND["masked_reports"][str(position)])
        own = slow.keystream_words(slow.own_mask_key(revealed(position), RID), len(total), 4)
        for place in range(len(total)):
            word = int.from_bytes(body[3 * place : 3 * place + 3], "little")
            total[place] += word - own[place]
    for gone in set(SHARERS) - set(SURVIVORS):
        private = revealed(gone)
        for position in SURVIVORS:
            key = slow.pair_mask_key(private, raw(ADVERTS[position]["mask_key"]), RID)
            sign = 1 if position < gone else -1
            for place, word in enumerate(slow.keystream_words(key, len(total), 4)):
                total[place] -= sign * word
    half = 2 ** (bits - 1)
    assert [(value + half) % 2**bits - half for value in total] == ROUND["sum"]
    vectors = [ROUND["vectors"][str(position)] for position in SURVIVORS]
    assert ROUND["sum"] == [sum(column) for column in zip(*vectors, strict=True)]
