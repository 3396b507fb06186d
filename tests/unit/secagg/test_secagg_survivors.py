"""What an operator may ask for beyond the sum, and what it gets."""

import pytest

from fedrec_protocol.secagg.bitmap import encode_bitmap
from fedrec_protocol.secagg.blobs import join_entries, split_entries
from fedrec_protocol.secagg.descriptor import Ring
from fedrec_protocol.secagg.errors import Reason, RoundAborted
from fedrec_protocol.secagg.messages import (
    NO_SHARE,
    Acknowledgements,
    Roster,
    acknowledgement_payload,
)
from fedrec_protocol.secagg.participant import join
from fedrec_protocol.secagg.roster import build_roster, roster_hash
from fedrec_protocol.secagg.server.sharing import inbox_of
from fedrec_protocol.secagg.server.survivors import acknowledgements_for, freeze_survivors
from tests.unit.secagg.secagg_round import (
    SERVER,
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
    vector_of,
)


def test_a_reveal_holds_one_share_of_each_dealer_and_leaves_none_behind() -> None:
    this = reported()
    del this.bodies[3]
    this.acknowledge(without=[3])
    held = {pair.dealer: pair for pair in this.states[0].held}
    this.reveal()
    revealed = split_entries(this.states[0].answer.shares, this.everybody, len(NO_SHARE))
    assert revealed[3] == held[3].mask_key
    assert all(revealed[dealer] == held[dealer].seed for dealer in this.everybody - {3})
    assert b"held" not in this.states[0].model_dump_json().encode()


def test_survivors_that_differ_between_participants_are_revealed_to_nobody() -> None:
    this = reported()
    views = {p: this.everybody - ({3} if p % 2 else {4}) for p in this.everybody - {3, 4}}
    acks = {}
    for position, view in views.items():
        state = this.states[position].on_survivors(survivors_message(this, view), this.devices[position].sign)
        this.states[position], acks[position] = state, state.answer
    for position in views:
        with refusal(Reason.BELOW_THRESHOLD):
            this.states[position].on_acknowledgements(
                acknowledgements_for(this.rostered, position, acks), this.devices[position].sign
            )


def test_a_participant_that_reported_refuses_to_be_called_dropped() -> None:
    this = reported()
    with refusal(Reason.NOT_A_SURVIVOR):
        this.states[2].on_survivors(survivors_message(this, this.everybody - {2}), this.devices[2].sign)


def test_survivors_below_the_floor_are_refused() -> None:
    this = reported(minimum_survivors=7)
    with refusal(Reason.COHORT_TOO_SMALL):
        this.states[0].on_survivors(survivors_message(this, frozenset(range(6))), this.devices[0].sign)


def test_a_sum_over_one_participant_is_refused_by_everybody_and_never_configured() -> None:
    this = reported()
    with refusal(Reason.COHORT_TOO_SMALL):
        this.states[0].on_survivors(survivors_message(this, frozenset({0})), this.devices[0].sign)
    with pytest.raises(RoundAborted, match="cohort-too-small"):
        freeze_survivors(this.rostered, this.everybody, frozenset({0}), SERVER)
    with pytest.raises(ValueError, match="greater than or equal to 5"):
        descriptor(minimum_survivors=1)


def test_an_app_may_demand_a_larger_cohort_than_the_task_states() -> None:
    with refusal(Reason.COHORT_TOO_SMALL):
        join(signed(descriptor(minimum_survivors=5)), device("a"), terms(minimum_survivors=32), Stream("a"))


def test_an_inbox_of_too_few_sharers_gets_no_masked_report() -> None:
    this = Round.of(9, minimum_survivors=7)
    this.share()
    for position in (6, 7, 8):
        del this.shares[position]

    inbox = inbox_of(this.rostered, 0, this.shares)
    with refusal(Reason.COHORT_TOO_SMALL):
        this.states[0].on_inbox(inbox, vector_of(0))


def test_a_survivor_who_never_shared_is_refused() -> None:
    this = Round.of(9)
    this.share(without=[5])
    this.report(vector_of)
    with refusal(Reason.INCONSISTENT_SETS):
        this.states[0].on_survivors(survivors_message(this, this.everybody), this.devices[0].sign)


def test_survivors_that_somebody_else_signed_are_refused() -> None:
    this = reported()
    forged = survivors_message(this, this.everybody).model_copy(update={"signature": bytes(64)})
    with refusal(Reason.BAD_SIGNATURE):
        this.states[0].on_survivors(forged, this.devices[0].sign)


def test_acknowledgements_by_participants_who_are_no_survivors_do_not_count() -> None:
    this = reported()
    view = this.everybody - {6, 7, 8}
    this.states[0] = this.states[0].on_survivors(survivors_message(this, view), this.devices[0].sign)
    bitmap = encode_bitmap(view, 9)
    payload = acknowledgement_payload(this.rostered.round_id, this.rostered.roster_hash, bitmap)
    everybody_else = {p: this.devices[p].sign(payload) for p in range(1, 9)}
    acks = Acknowledgements(signers=encode_bitmap(everybody_else, 9), signatures=join_entries(everybody_else))
    with refusal(Reason.BELOW_THRESHOLD):  # t is 7 of 9, and only six survive
        this.states[0].on_acknowledgements(acks, this.devices[0].sign)


def test_a_ring_on_which_two_neighbours_could_open_a_report_is_refused() -> None:
    stated = descriptor(participants=130, ring=Ring(degree=2, threshold=2), grid=grid(modulus_bits=32))
    this = Round.of(130, stated=stated)
    with refusal(Reason.WEAK_GRAPH):
        this.states[0].on_roster(this.roster, this.devices[0].sign, Stream("x"))


def test_a_roster_below_the_floor_or_above_what_rules_out_overflow_is_refused() -> None:
    for size, changes in ((5, {"minimum_survivors": 6}), (7, {"participants": 6})):
        stated = descriptor(**changes)
        joined = [join(signed(stated), device(str(index)), terms(), Stream(str(index))) for index in range(size)]
        adverts = sorted((state.answer for state in joined), key=lambda advert: advert.mask_key)
        roster = Roster(adverts=tuple(adverts), signature=SERVER.sign(roster_hash(stated.round_id, adverts)))
        with refusal(Reason.COHORT_TOO_SMALL):
            joined[0].on_roster(roster, device("0").sign, Stream("x"))
        with pytest.raises(RoundAborted, match="cohort-too-small"):
            build_roster(stated, adverts, SERVER)
