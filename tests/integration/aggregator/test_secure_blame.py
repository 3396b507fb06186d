"""Who spoils a secure round is named: in the round, in the audit log, and to the operator, who can revoke it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from fedrec_protocol.messages import NotSelectedReason
from fedrec_protocol.secagg.messages import Reveal
from fedrec_protocol.secagg.participant import acknowledged, dealing
from fedrec_protocol.secagg.shamir import SHARE_BYTES, split
from fedrec_sdk import NotSelected
from fedrec_sdk.identity import load_identity
from tests.integration.aggregator.cohort import Cohort, integer_sum, published_sum, secure_task
from tests.integration.aggregator.world import World


@pytest.fixture
def cohort(world: World, tmp_path: Path) -> Iterator[Cohort]:
    made = Cohort(secure_task(world), tmp_path)
    yield made
    made.close()


def first_round(cohort: Cohort) -> Any:
    return {round_["number"]: round_ for round_ in cohort.task.get("/rounds")}[1]


def client_of(cohort: Cohort, number: int) -> str:
    identity = load_identity(cohort.people[number].store.values, cohort.task.enrolment_key)
    assert identity is not None
    return identity.client_id


def in_audit_log(world: World, client_id: str) -> list[str]:
    query = text("SELECT action FROM aggregator.audit_log WHERE subject = :subject AND operator = 'aggregator'")
    with world.context.db.engine.connect() as connection:
        return [str(action) for action in connection.execute(query, {"subject": client_id}).scalars()]


def test_a_poisoned_dealer_is_named_and_the_operator_revokes_it(
    cohort: Cohort, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort.wait(phases=1)
    with monkeypatch.context() as poisoned:
        poisoned.setattr(dealing, "split", lambda _, *rest: split(bytes(32), *rest))
        cohort.people[3].contribute()
    cohort.wait(phases=3)
    cohort.finish()
    culprit = client_of(cohort, 3)
    spoilt = first_round(cohort)
    assert spoilt["state"] == "abandoned"
    assert culprit in spoilt["waiting_for"]
    assert list(spoilt["blamed"]) == [culprit]
    assert "do not give the secret" in spoilt["blamed"][culprit]
    (entry,) = in_audit_log(world, culprit)
    assert spoilt["round_id"] in entry
    answer = world.operator("DELETE", f"/v1/tasks/{cohort.task.id}/clients/{culprit}")
    assert answer.status_code == 204
    world.advance(10)
    world.work()
    refusal = cohort.people[3].contribute()
    assert isinstance(refusal, NotSelected)
    assert refusal.reason is NotSelectedReason.REVOKED


def test_a_holder_of_false_shares_is_named_and_the_sum_is_exact(
    cohort: Cohort, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort.wait(phases=4)

    def false_shares(**fields: Any) -> Reveal:
        shares = fields["shares"]
        return Reveal(**fields | {"shares": bytes(len(shares) - SHARE_BYTES) + shares[-SHARE_BYTES:]})

    with monkeypatch.context() as lying:
        lying.setattr(acknowledged, "Reveal", false_shares)
        cohort.people[5].contribute()
    cohort.finish(without={5})
    assert published_sum(cohort.task, 8) == integer_sum(range(8))
    culprit = client_of(cohort, 5)
    named = first_round(cohort)
    assert named["state"] == "published"
    assert list(named["blamed"]) == [culprit]
    assert "not what their dealers signed" in named["blamed"][culprit]
    assert len(in_audit_log(world, culprit)) == 1


def test_nobody_is_named_in_an_honest_round(cohort: Cohort) -> None:
    cohort.wait(phases=4)
    cohort.finish()
    assert first_round(cohort)["blamed"] == {}
