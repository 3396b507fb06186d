"""Keys that are swapped, repeated, low-order, short or of unknown devices."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedrec_protocol.secagg.errors import Reason, Rejected, RoundAborted
from fedrec_protocol.secagg.keys import KeyPair
from fedrec_protocol.secagg.messages import (
    Advert,
    Roster,
)
from fedrec_protocol.secagg.participant import join
from fedrec_protocol.secagg.roster import build_roster, check_advert, roster_hash
from tests.unit.secagg.secagg_round import (
    SERVER,
    Round,
    Stream,
    descriptor,
    device,
    refusal,
    signed,
    terms,
)

LOW_ORDER_KEYS = [
    # The points of order 1, 2, 4 and 8 on Curve25519 and its twist, and their spellings above the prime:
    # https://cr.yp.to/ecdh.html#validate
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


def roster_with(this: Round, position: int, **changes: object) -> Roster:
    """A roster in which a dishonest server changed one advert, in canonical order and signed."""
    adverts = list(this.roster.adverts)
    adverts[position] = adverts[position].model_copy(update=changes)
    adverts.sort(key=lambda advert: advert.mask_key)
    return Roster(adverts=tuple(adverts), signature=SERVER.sign(roster_hash(this.rostered.round_id, adverts)))


def test_a_swapped_key_is_refused() -> None:
    this = Round.of(9)
    mine = KeyPair(bytes(range(1, 33))).public  # the operator's own key in place of a participant's
    for changes in ({"mask_key": mine}, {"share_key": mine}):
        with refusal(Reason.BAD_SIGNATURE):
            this.states[0].on_roster(roster_with(this, 4, **changes), this.devices[0].sign, Stream("x"))


def test_a_roster_without_oneself_or_with_a_changed_advert_of_oneself_is_refused() -> None:
    this = Round.of(9)
    with refusal(Reason.WRONG_ROSTER):
        this.states[4].on_roster(roster_with(this, 4, seed_commitment=bytes(32)), this.devices[4].sign, Stream("x"))


def test_a_roster_of_devices_that_the_registry_does_not_know_is_refused() -> None:
    this = Round.of(9)
    unknown_registry = Ed25519PrivateKey.from_private_bytes(bytes(32))
    sybil = join(signed(this.stated), device("sybil", unknown_registry), terms(), Stream("sybil")).answer
    with refusal(Reason.BAD_SIGNATURE):
        this.states[0].on_roster(roster_with(this, 4, **dict(sybil)), this.devices[0].sign, Stream("x"))


def test_a_roster_in_another_order_is_refused() -> None:
    this = Round.of(9)
    adverts = this.roster.adverts[::-1]
    roster = Roster(adverts=adverts, signature=SERVER.sign(roster_hash(this.rostered.round_id, adverts)))
    with refusal(Reason.WRONG_ROSTER):
        this.states[0].on_roster(roster, this.devices[0].sign, Stream("x"))


def test_one_key_or_one_device_twice_is_refused_on_either_side() -> None:
    this = Round.of(9)
    for changes in ({"mask_key": this.roster.adverts[5].mask_key}, {"certificate": this.roster.adverts[5].certificate}):
        roster = roster_with(this, 4, **changes)
        with refusal(Reason.DUPLICATE_KEY):
            this.states[0].on_roster(roster, this.devices[0].sign, Stream("x"))
        with pytest.raises(RoundAborted, match="duplicate-key"):
            build_roster(this.stated, roster.adverts, SERVER)


def advert_with(**keys: bytes) -> Advert:
    """An enrolled but malicious device's advert, properly signed."""
    stated, who = descriptor(), device("mallory")
    unsigned = join(signed(stated), who, terms(), Stream("mallory")).answer.model_copy(update=keys)
    return unsigned.model_copy(update={"signature": who.sign(unsigned.payload(stated.round_id))})


@pytest.mark.parametrize("key", LOW_ORDER_KEYS)
@pytest.mark.parametrize("which", ["mask_key", "share_key"])
def test_a_low_order_key_is_refused_on_either_side(key: str, which: str) -> None:
    mallory = advert_with(**{which: bytes.fromhex(key)})
    with pytest.raises(Rejected, match="bad-key"):
        check_advert(mallory, descriptor().round_id, terms().registry_key)
    this = Round.of(5)
    adverts = sorted([*this.roster.adverts, mallory], key=lambda advert: advert.mask_key)
    roster = Roster(adverts=adverts, signature=SERVER.sign(roster_hash(this.rostered.round_id, adverts)))
    with refusal(Reason.BAD_KEY):
        this.states[0].on_roster(roster, this.devices[0].sign, Stream("x"))


def test_a_short_key_is_no_advert() -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        Advert.model_validate({**advert_with().model_dump(), "mask_key": bytes(31)})
