"""Who is named when shares are not what was signed: whoever is in most of the pairs, and nobody who is honest."""

from fedrec_protocol.secagg.blobs import join_entries, split_entries
from fedrec_protocol.secagg.messages import SEALED_BYTES
from fedrec_protocol.secagg.server.blame import POISONED, faults
from fedrec_protocol.secagg.server.reveals import CheckedReveal
from tests.unit.secagg.secagg_round import Round, reported, vector_of


def named(this: Round, poisoned: tuple[int, ...] = ()) -> dict[int, str]:
    """What is held against whom, by roster position."""
    words = faults(this.rostered, this.reveals, poisoned)
    return {this.rostered.position_of(client_id): text for client_id, text in words.items()}


def test_an_honest_round_names_nobody_whoever_leaves() -> None:
    this = Round.of(9)
    this.share(without=[2])
    this.report(vector_of, without=[5])
    this.acknowledge()
    this.reveal(without=[7])
    assert named(this) == {}


def test_a_holder_whose_shares_are_all_false_is_named_and_no_dealer() -> None:
    this = reported()
    this.acknowledge()
    held = tuple(pair.model_copy(update={"seed": bytes(33)}) for pair in this.states[4].held)
    this.states[4] = this.states[4].model_copy(update={"held": held})
    this.reveal()
    assert list(named(this)) == [4]
    assert named(this)[4].startswith("revealed 9 shares")


def test_a_dealer_whose_shares_open_for_nobody_is_named_and_no_holder() -> None:
    this = Round.of(9)
    this.share()
    neighbours = this.rostered.graph.neighbours(2)
    sealed = split_entries(this.shares[2].sealed, neighbours, SEALED_BYTES)
    spoilt = {holder: bytes(SEALED_BYTES) if holder in {4, 5, 6} else entry for holder, entry in sealed.items()}
    this.shares[2] = this.shares[2].model_copy(update={"sealed": join_entries(spoilt)})
    this.report(vector_of)
    this.acknowledge()
    this.reveal()
    assert list(named(this)) == [2]
    assert named(this)[2] == "dealt shares of which 3 holders had something else than it signed"


def test_one_false_share_names_both_ends_for_either_may_have_made_it() -> None:
    this = reported()
    this.acknowledge()
    held = list(this.states[4].held)
    of_dealer = next(place for place, pair in enumerate(held) if pair.dealer == 1)
    held[of_dealer] = held[of_dealer].model_copy(update={"seed": bytes(33)})
    this.states[4] = this.states[4].model_copy(update={"held": tuple(held)})
    this.reveal()
    assert set(named(this)) == {1, 4}


def test_shares_of_a_convicted_dealer_are_held_against_no_holder() -> None:
    this = reported()
    this.acknowledge()
    this.reveal()
    this.reveals[0] = CheckedReveal(holder=this.reveals[0].holder, shares={}, mismatched=(3,))
    assert named(this, poisoned=(3,)) == {3: POISONED}
