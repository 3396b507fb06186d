"""What came of a round: the sum's facts, the next parameters, the published version."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from fedrec_protocol.messages import ModelReference
from services.aggregator.storage import audit
from services.aggregator.storage.tables import rounds

_AGGREGATOR = "aggregator"
"""Who acts in the audit log where no operator did."""


@dataclass(frozen=True)
class Outcome:
    """What a round came to."""

    report_count: int
    weight: int
    evaluated: int
    """Evaluations behind the metrics."""
    metrics: dict[str, float]
    """Means over the evaluations; empty when nothing was evaluated."""
    result_object: str | None
    """Key of the next parameters, a safetensors file; None for an evaluation."""
    rule_state_object: str | None
    """Key of what the aggregation rule remembers; None when it is nothing."""
    next_clipping_norm: float | None = None
    """Of the round that follows, where clipping is adaptive."""


def save(tx: Connection, round_id: str, outcome: Outcome) -> None:
    """Store what a round came to."""
    tx.execute(
        update(rounds)
        .where(rounds.c.id == round_id)
        .values(
            report_count=outcome.report_count,
            weight=outcome.weight,
            evaluated=outcome.evaluated,
            metrics=outcome.metrics,
            result_object=outcome.result_object,
            rule_state_object=outcome.rule_state_object,
            next_clipping_norm=outcome.next_clipping_norm,
        )
    )


def get(tx: Connection, round_id: str) -> Outcome | None:
    """What a round came to; None until its sum was taken."""
    row = tx.execute(select(rounds).where(rounds.c.id == round_id)).mappings().one()
    if row["report_count"] is None:
        return None
    return Outcome(
        report_count=row["report_count"],
        weight=row["weight"],
        evaluated=row["evaluated"],
        metrics=row["metrics"],
        result_object=row["result_object"],
        rule_state_object=row["rule_state_object"],
        next_clipping_norm=row["next_clipping_norm"],
    )


def discard(tx: Connection, round_id: str) -> list[str]:
    """Forget what a round would have published; returns the keys of its objects."""
    row = tx.execute(select(rounds.c.result_object, rounds.c.rule_state_object).where(rounds.c.id == round_id)).one()
    tx.execute(update(rounds).where(rounds.c.id == round_id).values(result_object=None, rule_state_object=None))
    return [key for key in row if key is not None]


def set_published(tx: Connection, round_id: str, version: ModelReference | None) -> None:
    """Record the published version; the result's object is no longer pointed to."""
    values = {"published_version": None if version is None else version.model_dump(mode="json")}
    tx.execute(update(rounds).where(rounds.c.id == round_id).values(result_object=None, **values))


def set_blamed(tx: Connection, round_id: str, blamed: Mapping[str, str], now: datetime) -> None:
    """Record what is held against whom, with the round and in the audit log: words by client id."""
    if not blamed:
        return
    tx.execute(update(rounds).where(rounds.c.id == round_id).values(blamed=dict(blamed)))
    for client_id, words in blamed.items():
        audit.record(tx, _AGGREGATOR, f"blame in {round_id}: {words}", client_id, now)
