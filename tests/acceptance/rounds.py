"""Rounds to try things on."""

from __future__ import annotations

from datetime import UTC, datetime

from fedrec_protocol.messages import RoundKind, RoundState
from fedrec_protocol.operator_messages import RoundView

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def round_view(number: int, metrics: dict[str, float]) -> RoundView:
    """A published round with these metrics of its base version."""
    return RoundView(
        round_id=f"rnd_{number}",
        task_id="tsk_1",
        number=number,
        kind=RoundKind.TRAINING,
        state=RoundState.PUBLISHED,
        waiting_for="nothing",
        base_version_id=f"ver_{number}",
        published_version_id=f"ver_{number + 1}",
        opened_at=NOON,
        deadline=NOON,
        closed_at=NOON,
        assignments=1,
        reports=1,
        aggregation_goal=1,
        minimum_reports=1,
        evaluated=1,
        metrics=metrics,
        examples=1,
    )
