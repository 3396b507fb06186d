"""The ledger never under-charges, and refuses the round that would overspend."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.aggregator.domain.privacy.events import Charge, GaussianRelease, PoissonGaussianRelease
from services.aggregator.domain.privacy.ledger import Budget, BudgetExceeded, ConflictingCharge, Ledger
from services.aggregator.domain.privacy.participation import ParticipationLimit
from services.aggregator.domain.privacy.statement import Mechanism, NoiseBy, PrivacyStatement, privacy_statement


def ledger(budget: float = 2.0, *, cap: int | None = None) -> Ledger:
    limit = ParticipationLimit(maximum_participations=cap)
    return Ledger(lineage="films", budget=Budget(epsilon=budget, delta=1e-6), limit=limit)


def charge(number: int, attempt: str = "first", multiplier: float = 4.99) -> Charge:
    release = GaussianRelease(noise_multiplier=multiplier)
    return Charge(charge_id=f"{number} {attempt}", round_number=number, releases=(release,))


def test_five_rounds_at_a_multiplier_of_4_99_spend_two_and_a_sixth_is_not_opened() -> None:
    # The reference table: no amplification, at most five rounds, epsilon 2.
    spending = ledger(2.001)
    for number in range(1, 6):
        spending.require_room_for(charge(number))
        spending = spending.with_charge(charge(number))
    assert spending.spent == pytest.approx(2.0, abs=0.005)
    with pytest.raises(BudgetExceeded, match="round 6"):
        spending.require_room_for(charge(6))


def test_with_a_cap_of_five_the_sixth_round_costs_nobody_more() -> None:
    spending = ledger(2.001, cap=5)
    for number in range(1, 6):
        spending = spending.with_charge(charge(number))
    spending.require_room_for(charge(6))


def test_rounds_that_are_open_already_count_before_they_are_charged() -> None:
    spending = ledger(2.001)
    outstanding = tuple(charge(number) for number in range(1, 6))
    with pytest.raises(BudgetExceeded):
        spending.require_room_for(charge(6), outstanding)
    spending.require_room_for(charge(5), outstanding[:4])


def test_the_same_charge_again_changes_nothing() -> None:
    once = ledger().with_charge(charge(1))
    assert once.with_charge(charge(1)) == once


def test_a_charge_cannot_be_rewritten() -> None:
    with pytest.raises(ConflictingCharge):
        ledger().with_charge(charge(1)).with_charge(charge(1, multiplier=50))


def test_a_run_with_fresh_noise_is_charged_again_even_when_the_first_was_never_published() -> None:
    once = ledger().with_charge(charge(1))
    again = once.with_charge(charge(1, "second"))
    assert again.spent > 1.3 * once.spent


@given(st.lists(st.floats(0.8, 30), min_size=1, max_size=6), st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_a_charge_never_lowers_what_was_spent(multipliers: list[float], cap: int) -> None:
    spending, spent = ledger(cap=cap), 0.0
    for number, multiplier in enumerate(multipliers, 1):
        spending = spending.with_charge(charge(number, multiplier=multiplier))
        assert spending.spent >= spent - 1e-9
        spent = spending.spent


def test_a_ledger_survives_its_storage() -> None:
    sampled = PoissonGaussianRelease(noise_multiplier=1.0, sampling_probability=0.1)
    kept = ledger().with_charge(Charge(charge_id="a", round_number=1, releases=(sampled,)))
    assert Ledger.model_validate_json(kept.model_dump_json()) == kept


def statement(spending: Ledger, noise_by: NoiseBy = NoiseBy.SERVER) -> PrivacyStatement:
    mechanism = Mechanism(
        noise_by=noise_by, is_secure_aggregation=True, clipping_norm=0.5, aggregation_goal=1000, minimum_reports=900
    )
    return privacy_statement(spending, mechanism)


def test_a_version_states_its_guarantee_for_machines_and_in_words() -> None:
    spending = ledger(8, cap=5)
    for number in range(1, 21):
        spending = spending.with_charge(charge(number, multiplier=1.461))
    stated = statement(spending)
    assert stated.epsilon == pytest.approx(8.0, abs=0.01)
    assert (stated.delta, stated.maximum_participations, stated.releases_charged) == (1e-6, 5, 20)
    assert stated.sampling_claim == "none"
    words = stated.plain_words()
    # 7.993 is told as 8.00, and e**8 = 2981.
    phrases = ("epsilon = 8.00", "exp(8.00) (about 2,981) times", "delta = 1e-06", "at most 5 rounds")
    for phrase in (*phrases, "length of at most 0.5", "at least 900"):
        assert phrase in words, phrase
    assert "No benefit of random sampling is claimed" in words
    assert PrivacyStatement.model_validate_json(stated.model_dump_json()) == stated


def test_words_never_tell_a_smaller_epsilon_than_was_spent() -> None:
    for rounds in range(1, 12):
        spending = ledger(100)
        for number in range(1, rounds + 1):
            spending = spending.with_charge(charge(number, multiplier=2.7))
        (told,) = re.findall(r"epsilon = ([0-9.]+)", statement(spending).plain_words())
        assert spending.spent <= float(told) < spending.spent + 0.01 + 1e-9


def test_a_large_epsilon_is_called_a_weak_promise() -> None:
    weak, strong = (ledger(1e4).with_charge(charge(1, multiplier=z)) for z in (0.2, 2.0))
    assert "weak promise" in statement(weak).plain_words()
    assert "weak promise" not in statement(strong).plain_words()


def test_the_words_say_against_whom_the_promise_does_not_hold() -> None:
    sampled = PoissonGaussianRelease(noise_multiplier=1.0, sampling_probability=0.01)
    spending = ledger().with_charge(Charge(charge_id="a", round_number=1, releases=(sampled,)))
    assert "do not know on whom it fell" in statement(spending).plain_words()
    assert "who takes part and when" in statement(spending).plain_words()


def test_sampling_is_claimed_only_where_the_ledger_holds_sampled_releases() -> None:
    sampled = PoissonGaussianRelease(noise_multiplier=1.0, sampling_probability=0.01)
    spending = ledger().with_charge(Charge(charge_id="a", round_number=1, releases=(sampled,)))
    assert statement(spending).sampling_claim == "0.01"


def test_the_statement_says_whom_one_has_to_trust() -> None:
    spending = ledger().with_charge(charge(1))
    assert "trusted" in statement(spending).plain_words()
    assert "inside sums" in statement(spending, NoiseBy.PARTICIPANTS).plain_words()


@pytest.mark.parametrize(
    ("noise_by", "neighbouring", "otherwise"),
    [
        (NoiseBy.SERVER, "add-or-remove-one-user", "had never taken part"),
        (NoiseBy.PARTICIPANTS, "zero-out-one-user", "had reported zeros"),
        (NoiseBy.EACH_PARTICIPANT, "replace-one-user", "had reported anything else"),
    ],
)
def test_taking_part_is_hidden_only_by_noise_that_does_not_come_with_the_participant(
    noise_by: NoiseBy, neighbouring: str, otherwise: str
) -> None:
    stated = statement(ledger().with_charge(charge(1)), noise_by)
    assert stated.neighbouring == neighbouring
    assert ("had never taken part" in stated.plain_words()) == (noise_by is NoiseBy.SERVER)
    assert otherwise in stated.plain_words()
