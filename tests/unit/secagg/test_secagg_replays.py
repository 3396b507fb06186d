"""Messages of other rounds, second messages, and rounds that differ between participants."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedrec_protocol.secagg.errors import Reason, Rejected
from fedrec_protocol.secagg.participant import join
from fedrec_protocol.secagg.roster import check_advert
from fedrec_protocol.secagg.server.reveals import check_reveal
from tests.unit.secagg.secagg_round import (
    Round,
    Stream,
    descriptor,
    device,
    grid,
    refusal,
    reported,
    signed,
    survivors_message,
    terms,
)


def test_a_round_is_joined_once_ever() -> None:
    stated = descriptor()
    with refusal(Reason.ANSWERED_DIFFERENTLY):
        join(signed(stated), device("a"), terms(answered={stated.round_id}), Stream("a"))


def test_messages_of_another_round_do_not_fit() -> None:
    this, other = reported(), reported(nonce=bytes(32))
    with refusal(Reason.BAD_SIGNATURE):
        this.states[0].on_survivors(survivors_message(other, other.everybody), this.devices[0].sign)
    joined = Round.of(9)
    with refusal(Reason.BAD_SIGNATURE):
        joined.states[0].on_roster(other.roster, joined.devices[0].sign, Stream("x"))
    with pytest.raises(Rejected, match="bad-signature"):
        check_advert(other.roster.adverts[0], joined.rostered.round_id, terms().registry_key)


def test_shares_replayed_from_another_round_are_rejected() -> None:
    this, other = Round.of(9), Round.of(9, nonce=bytes(32))
    other.share()
    with pytest.raises(Rejected, match="wrong-roster"):
        this.accept_shares(0, other.shares[0])


def test_reveals_replayed_from_another_round_are_rejected() -> None:
    this, other = reported(), reported(nonce=bytes(32))
    for round_ in (this, other):
        round_.acknowledge()
        round_.reveal()
    with pytest.raises(Rejected, match="bad-signature"):
        check_reveal(this.rostered, 0, other.states[0].answer, this.sets, this.shares)


def test_a_round_about_another_model_is_refused() -> None:
    with refusal(Reason.WRONG_MODEL):
        join(signed(descriptor(base_digest=bytes(32))), device("a"), terms(), Stream("a"))


@pytest.mark.parametrize(
    "change",
    [
        {"base_digest": bytes(32)},
        {"minimum_survivors": 6},
        {"round_number": 8},
        {"nonce": bytes(32)},
        {"task_id": "books"},
        {"grid": grid(clipping_norm=0.5)},
        {"grid": grid(modulus_bits=32)},
        {"maximum_participants": 99},
        {"noise_variance": 4},
    ],
)
def test_participants_who_were_shown_different_rounds_share_no_key(change: dict[str, Any]) -> None:
    assert descriptor().round_id != descriptor(**change).round_id


def test_a_descriptor_that_the_aggregator_did_not_sign_is_refused() -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with refusal(Reason.BAD_SIGNATURE):
        join(signed(descriptor(), stranger), device("a"), terms(), Stream("a"))
