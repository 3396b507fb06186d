"""What the server does not let in, and a participant does not let out."""

import numpy as np
import pytest

from fedrec_protocol.secagg.bitmap import encode_bitmap
from fedrec_protocol.secagg.errors import Reason, Rejected, RoundAborted
from fedrec_protocol.secagg.messages import (
    Acknowledgement,
    Reveal,
    acknowledgement_payload,
)
from fedrec_protocol.secagg.server.reveals import check_reveal
from fedrec_protocol.secagg.server.sharing import inbox_of
from fedrec_protocol.secagg.server.survivors import check_acknowledgement, freeze_survivors
from tests.unit.secagg.secagg_round import (
    SERVER,
    Round,
    refusal,
    reported,
    vector_of,
)


def test_only_survivors_acknowledge_and_reveal() -> None:
    this = reported()
    del this.bodies[8]
    this.acknowledge()
    view = this.survivors.survivors
    payload = acknowledgement_payload(this.rostered.round_id, this.rostered.roster_hash, view)
    with pytest.raises(Rejected, match="not-a-survivor"):
        this.accept_ack(8, Acknowledgement(signature=this.devices[8].sign(payload)))
    with pytest.raises(Rejected, match="not-a-survivor"):
        check_reveal(this.rostered, 8, Reveal(shares=b"", signature=bytes(64)), this.sets, this.shares)


def test_an_acknowledgement_of_another_set_is_rejected() -> None:
    this = reported()
    this.acknowledge(without=this.bodies)
    other = encode_bitmap(this.everybody - {8}, 9)
    payload = acknowledgement_payload(this.rostered.round_id, this.rostered.roster_hash, other)
    with pytest.raises(Rejected, match="bad-signature"):
        check_acknowledgement(
            this.rostered, 0, Acknowledgement(signature=this.devices[0].sign(payload)), this.survivors.survivors
        )


def test_a_vector_outside_the_agreed_bits_is_not_masked() -> None:

    this = Round.of(9)
    this.share()
    inbox = inbox_of(this.rostered, 0, this.shares)
    for vector in (np.full(8, 2**15), np.full(8, -(2**15) - 1)):
        with refusal(Reason.OUT_OF_RANGE):
            this.states[0].on_inbox(inbox, vector)
    with refusal(Reason.MALFORMED):
        this.states[0].on_inbox(inbox, np.zeros(7, np.int64))


def test_a_masked_report_leaves_no_secret_of_ones_own_behind() -> None:
    this = Round.of(9)
    this.share()
    secrets = this.states[0].secrets
    this.report(vector_of)
    saved = this.states[0].model_dump_json()
    for secret in secrets.model_dump(mode="json").values():
        assert secret not in saved


def test_a_folded_report_of_somebody_who_never_shared_ends_the_round() -> None:
    # Its masks could never be taken off: nobody holds a share of its secrets.
    this = reported()
    with pytest.raises(RoundAborted, match="inconsistent-sets"):
        freeze_survivors(this.rostered, this.everybody - {3}, this.everybody, SERVER)
