"""A device counts its own participations, and refuses what the task does not allow, whatever the server asks."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from fedrec_protocol.manifest import ReportFormat, RoundPolicy
from fedrec_protocol.messages import NotSelectedReason
from fedrec_protocol.privacy import LocalPrivacy
from fedrec_protocol.problems import Slug
from fedrec_protocol.report_format import Weighting
from fedrec_sdk import Contributed, LocalStore, NotSelected, TooLate
from fedrec_sdk.errors import rejected_here
from fedrec_sdk.session import Session
from fedrec_sdk.testing import FakeAggregator, fake_round, fake_task
from tests.unit.sdk.conftest import Join, StartTask

HISTORY = [0, 1, 2, 3]


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that asks everybody, as often as there are rounds."""

    asks = fake_round.why_no_work

    def without_caps(
        assignment_id: str, client_id: str, kinds: Any, rounds: Any, policy: RoundPolicy
    ) -> NotSelectedReason | None:
        return asks(assignment_id, client_id, kinds, rounds, RoundPolicy(aggregation_goal=1, over_selection_factor=4.0))

    monkeypatch.setattr(fake_task, "why_no_work", without_caps)


def outcomes(aggregator: FakeAggregator, join: Join, times: int) -> list[Any]:
    """Each time another process of the same device: what it knows is in its store."""
    return [join(aggregator, "anna", HISTORY).contribute() for _ in range(times)]


@pytest.mark.usefixtures("forgetful")
def test_no_more_rounds_than_the_task_allows(start_task: StartTask, join: Join) -> None:
    capped = start_task(rounds=RoundPolicy(aggregation_goal=1, maximum_participations=2))
    first, second, third = outcomes(capped, join, 3)
    assert isinstance(first, Contributed)
    assert isinstance(second, Contributed)
    assert isinstance(third, NotSelected)
    assert third.reason is NotSelectedReason.PARTICIPATION_CAP


@pytest.mark.usefixtures("forgetful")
def test_no_sooner_than_the_task_allows(start_task: StartTask, join: Join) -> None:
    apart = start_task(rounds=RoundPolicy(aggregation_goal=1, minimum_separation=2))
    first, second = outcomes(apart, join, 2)
    assert isinstance(first, Contributed)
    assert isinstance(second, NotSelected)
    assert second.reason is NotSelectedReason.TOO_SOON
    assert isinstance(join(apart, "ben", HISTORY).contribute(), Contributed)  # round 2 is somebody else's
    assert isinstance(join(apart, "anna", HISTORY).contribute(), Contributed)


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize(("is_local", "again"), [(False, Contributed), (True, NotSelected)])
def test_a_late_report_was_no_participation_unless_nobody_is_trusted_with_it(
    start_task: StartTask, join: Join, is_local: bool, again: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    privacy = LocalPrivacy(noise_multiplier=1.0, budget_epsilon=50.0, target_delta=1e-5) if is_local else None
    capped = start_task(
        rounds=RoundPolicy(aggregation_goal=1, maximum_participations=1),
        report=ReportFormat(maximum_norm=10.0, weighting=Weighting.UNIFORM),
        metrics=(),
        privacy=privacy,
    )

    def too_late(*_: Any) -> None:
        raise rejected_here(Slug.ROUND_CLOSED, "the round is over")

    with monkeypatch.context() as slow:
        slow.setattr(Session, "report", too_late)
        assert isinstance(join(capped, "anna", HISTORY).contribute(), TooLate)
    assert isinstance(join(capped, "anna", HISTORY).contribute(), again)


def test_a_store_of_the_version_before_begins_to_count(tmp_path: Path) -> None:
    with LocalStore(tmp_path) as store:
        store.interactions.add([(1, None)])
    connection = sqlite3.connect(tmp_path / "participant.sqlite")
    connection.executescript("DROP TABLE participation; PRAGMA user_version = 1")
    connection.close()
    with LocalStore(tmp_path) as store:
        assert store.participations.of_task("tsk_1") == []
        assert len(store.interactions.history()) == 1
