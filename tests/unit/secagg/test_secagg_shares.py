"""Shares that are redirected, false or missing: the sum is exact, or the round ends with the culprit named."""

import numpy as np
import pytest

from fedrec_protocol.secagg.blobs import join_entries, split_entries
from fedrec_protocol.secagg.errors import Reason, Rejected, RoundAborted
from fedrec_protocol.secagg.messages import (
    SEALED_BYTES,
)
from fedrec_protocol.secagg.server.sharing import inbox_of
from tests.unit.secagg.secagg_round import (
    Round,
    Stream,
    over_the_wire,
    refusal,
    reported,
    restarted,
    sum_of,
    vector_of,
)


def test_a_redirected_ciphertext_does_not_open_and_the_sum_is_still_exact() -> None:
    this = Round.of(9)
    this.share()
    neighbours = this.rostered.graph.neighbours(2)
    sealed = split_entries(this.shares[2].sealed, neighbours, SEALED_BYTES)
    sealed[4], sealed[5] = sealed[5], sealed[4]
    this.shares[2] = this.shares[2].model_copy(update={"sealed": join_entries(sealed)})
    this.report(vector_of)
    assert all(2 not in {pair.dealer for pair in this.states[holder].held} for holder in (4, 5))
    this.acknowledge()
    this.reveal()
    assert this.reveals[4].mismatched == (2,)
    np.testing.assert_array_equal(this.sum(), sum_of(this.everybody))


def test_a_lying_holder_is_dropped_by_digest_and_the_sum_is_still_exact() -> None:
    this = reported()
    this.acknowledge()
    liar = this.states[0]
    held = tuple(pair.model_copy(update={"seed": bytes(33)}) for pair in liar.held)
    this.states[0] = liar.model_copy(update={"held": held})
    this.reveal()
    assert this.reveals[0].mismatched == tuple(range(9))
    np.testing.assert_array_equal(this.sum(), sum_of(this.everybody))


def poisoned(*, is_signed: bool) -> Round:
    """A round in which the dealer at 3 gives everybody shares of another secret than it committed to."""
    this = Round.of(9)
    this.share(without=[3])
    dealer = this.states[3]
    wrong = dealer.secrets.model_copy(update={"seed": bytes(32)})
    state = dealer.model_copy(update={"secrets": wrong}).on_roster(this.roster, this.devices[3].sign, Stream("m"))
    answer = state.answer
    if not is_signed:  # shares of yet another secret under the digests
        other = dealer.on_roster(this.roster, this.devices[3].sign, Stream("n")).answer
        unsigned = answer.model_copy(update={"digests": other.digests})
        answer = unsigned.model_copy(update={"signature": this.devices[3].sign(unsigned.payload(this.stated.round_id))})
    this.states[3] = restarted(state)
    this.accept_shares(3, over_the_wire(answer))
    this.report(vector_of)
    this.acknowledge()
    this.reveal()
    return this


def test_a_dealer_whose_signed_shares_do_not_give_its_committed_secret_is_blamed() -> None:
    with pytest.raises(RoundAborted, match="poisoned-dealer") as aborted:
        poisoned(is_signed=True).sum()
    assert aborted.value.blamed == (3,)


def test_a_dealer_whose_shares_are_not_what_it_signed_is_blamed() -> None:
    with pytest.raises(RoundAborted, match="poisoned-dealer") as aborted:
        poisoned(is_signed=False).sum()
    assert aborted.value.blamed == (3,)


def test_a_participant_whose_neighbours_dealt_only_garbage_does_not_report() -> None:

    this = Round.of(9)
    this.share()
    inbox = inbox_of(this.rostered, 0, this.shares)
    with refusal(Reason.BELOW_THRESHOLD):
        this.states[0].on_inbox(inbox.model_copy(update={"sealed": bytes(len(inbox.sealed))}), vector_of(0))


def test_too_few_reveals_end_in_a_clean_abort_without_blame() -> None:
    this = reported()
    this.acknowledge()
    this.reveal(without=[0, 1, 2])
    with pytest.raises(RoundAborted, match="below-threshold") as aborted:
        this.sum()
    assert aborted.value.blamed == ()


def test_a_share_that_is_sent_back_to_its_dealer_does_not_open() -> None:
    # Two neighbours seal under one key: only the route tells the directions apart.
    this = Round.of(9)
    this.share()
    mine = split_entries(this.shares[0].sealed, this.rostered.graph.neighbours(0), SEALED_BYTES)
    inbox = inbox_of(this.rostered, 0, this.shares)
    sealed = split_entries(inbox.sealed, this.rostered.graph.neighbours(0), SEALED_BYTES)
    reflected = inbox.model_copy(update={"sealed": join_entries({**sealed, 4: mine[4]})})
    state, _ = this.states[0].on_inbox(reflected, vector_of(0))
    assert {pair.dealer for pair in state.held} == this.everybody - {4}


def test_shares_that_their_dealer_did_not_sign_are_rejected() -> None:
    this = Round.of(9)
    this.share()
    changed = bytes(len(this.shares[0].digests))
    with pytest.raises(Rejected, match="bad-signature"):
        this.accept_shares(0, this.shares[0].model_copy(update={"digests": changed}))
