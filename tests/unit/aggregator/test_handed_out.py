"""What a process remembers of the assignments that it handed out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fedrec_protocol.manifest import TrainingPlan
from fedrec_protocol.messages import Assignment, ModelReference, RoundKind
from services.aggregator.api import handed_out
from services.aggregator.api.handed_out import HandedOut
from services.aggregator.pipeline.asking import Asking

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = bytes(32)


def remembering(*ids: str) -> HandedOut:
    """It has handed out these assignments, to `cli_1`, for an hour."""
    remembered = HandedOut()
    for id_ in ids:
        assignment = Assignment(
            assignment_id=id_,
            task_id="tsk_1",
            round_id="rnd_1",
            round_number=1,
            kind=RoundKind.TRAINING,
            base=ModelReference(model="m", version_id="ver_1", number=0, digest="d", size_bytes=8, url="u"),
            training=TrainingPlan(),
            manifest_digest="d",
            deadline=NOON + timedelta(hours=1),
            expires_in_seconds=3600,
        )
        remembered.add("cli_1", KEY, assignment)
    return remembered


def test_an_assignment_is_known_to_its_client_once() -> None:
    remembered, who = remembering("asg_1"), Asking("cli_1", "asg_1", KEY)
    found = remembered.take(who, NOON)
    assert found is not None
    assert (found.id, found.round_id, found.client_id) == ("asg_1", "rnd_1", "cli_1")
    assert remembered.take(who, NOON) is None


@pytest.mark.parametrize(
    ("who", "minutes"),
    [
        (Asking("cli_1", "asg_2", KEY), 0),
        (Asking("cli_2", "asg_1", KEY), 0),
        (Asking("cli_1", "asg_1", bytes(31) + b"\x01"), 0),
        (Asking("cli_1", "asg_1", None), 0),
        (Asking("cli_1", "asg_1", KEY), 60),
    ],
    ids=["another assignment", "another client", "another key", "no key", "too late"],
)
def test_everything_else_is_looked_up_and_leaves_it_known(who: Asking, minutes: int) -> None:
    remembered = remembering("asg_1")
    assert remembered.take(who, NOON + timedelta(minutes=minutes)) is None
    assert remembered.take(Asking("cli_1", "asg_1", KEY), NOON) is not None


def test_the_oldest_of_too_many_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handed_out, "_REMEMBERED", 2)
    remembered = remembering("asg_1", "asg_2", "asg_3")
    known = [remembered.take(Asking("cli_1", id_, KEY), NOON) is not None for id_ in ("asg_1", "asg_2", "asg_3")]
    assert known == [False, True, True]
