"""The promotion gate and the way back, on plain values."""

from datetime import UTC, datetime

import pytest

from fedrec_protocol.registry_messages import AliasMove, Gate
from services.model_registry.domain.errors import GateFailed, NothingToRollBack
from services.model_registry.domain.promotion import AliasAction, require_gate, version_before

NDCG = Gate(metric="ndcg@10", minimum_improvement=0.01)


def moved(action: AliasAction, to: str) -> AliasMove:
    return AliasMove(
        number=0,
        alias="production",
        from_version_id=None,
        to_version_id=to,
        action=action,
        operator="ada",
        reason="",
        moved_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def promoted(to: str) -> AliasMove:
    return moved(AliasAction.PROMOTE, to)


def rolled_back(to: str) -> AliasMove:
    return moved(AliasAction.ROLL_BACK, to)


def test_a_candidate_that_improves_exactly_enough_passes() -> None:
    require_gate(NDCG, {"ndcg@10": 0.26}, {"ndcg@10": 0.25})


def test_a_refusal_states_both_numbers() -> None:
    with pytest.raises(GateFailed, match=r"candidate is 0\.255, of the incumbent 0\.25; .* at least 0\.01"):
        require_gate(NDCG, {"ndcg@10": 0.255}, {"ndcg@10": 0.25})


def test_a_negative_improvement_tolerates_a_loss() -> None:
    require_gate(Gate(metric="hr@10", minimum_improvement=-0.05), {"hr@10": 0.21}, {"hr@10": 0.25})


def test_without_an_incumbent_any_measured_candidate_passes() -> None:
    require_gate(NDCG, {"ndcg@10": 0.0}, None)


def test_a_candidate_that_was_never_measured_fails_even_without_an_incumbent() -> None:
    with pytest.raises(GateFailed, match="never measured"):
        require_gate(NDCG, {"hr@10": 0.9}, None)


def test_an_incumbent_that_was_never_measured_is_no_mark_to_beat() -> None:
    with pytest.raises(GateFailed, match="incumbent was never measured"):
        require_gate(NDCG, {"ndcg@10": 0.3}, {})


def test_a_roll_back_returns_to_the_version_before() -> None:
    assert version_before([promoted("a"), promoted("b")]) == "a"


def test_a_second_roll_back_goes_further_back() -> None:
    assert version_before([promoted("a"), promoted("b"), promoted("c"), rolled_back("b")]) == "a"


def test_a_promotion_after_a_roll_back_can_be_undone() -> None:
    assert version_before([promoted("a"), promoted("b"), rolled_back("a"), promoted("c")]) == "a"


def test_a_version_may_come_back_by_promotion() -> None:
    assert version_before([promoted("a"), promoted("b"), promoted("a")]) == "b"


@pytest.mark.parametrize("moves", [[], [promoted("a")], [promoted("a"), promoted("b"), rolled_back("a")]])
def test_with_one_version_left_there_is_nothing_to_roll_back(moves: list[AliasMove]) -> None:
    with pytest.raises(NothingToRollBack):
        version_before(moves)
