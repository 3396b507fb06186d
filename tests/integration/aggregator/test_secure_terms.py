"""What a secure task may promise, and what a device demands before it takes part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fedrec_protocol.secagg.descriptor import RoundDescriptor, SignedDescriptor
from fedrec_protocol.secure_messages import SecureOffer
from fedrec_sdk import Rejected
from fedrec_sdk.session import Session
from services.aggregator.domain.secure_keys import server_key
from tests.integration.aggregator.cohort import Cohort, secure_task
from tests.integration.aggregator.world import World


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"secure": {"minimum_cohort": 4}}, "greater than or equal to 5"),
        ({"secure": {"minimum_cohort": 9}}, "can never reach"),
        ({"secure": {"value_bits": 31}}, "can overflow"),
        ({"secure": {"value_bits": 32}}, "below modulus_bits"),
        ({"rounds": {"aggregation_goal": 8, "report_timeout_seconds": 5}}, "report_timeout_seconds"),
    ],
)
def test_a_promise_that_the_masks_cannot_keep_is_refused_at_creation(
    world: World, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(AssertionError, match=reason):
        secure_task(world, **changes)


def test_a_device_that_demands_masks_refuses_a_plain_task(world: World, tmp_path: Path) -> None:
    cohort = Cohort(world.task(shared=[{"name": "items", "shape": [12]}]), tmp_path, 1, require_secure_aggregation=True)
    with pytest.raises(Rejected) as refused:
        cohort.people[0].contribute()
    assert refused.value.slug == "secure-aggregation-required"
    assert cohort.task.round["assignments"] == 0
    cohort.close()


@pytest.mark.parametrize(
    ("demand", "slug"),
    [
        ({"minimum_cohort": 9}, "secure-aggregation-required"),
        ({"device_registry_key": bytes(32)}, "secure-round-refused"),
    ],
)
def test_a_device_that_demands_more_than_the_task_promises_refuses(
    world: World, tmp_path: Path, demand: dict[str, Any], slug: str
) -> None:
    cohort = Cohort(secure_task(world), tmp_path, 1, **demand)
    with pytest.raises(Rejected) as refused:
        cohort.people[0].contribute()
    assert refused.value.slug == slug
    cohort.close()


def test_a_round_that_is_not_what_the_manifest_says_is_refused(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Session.secure_offer

    def lower_floor(session: Session, assignment_id: str) -> SecureOffer:
        offer = honest(session, assignment_id)
        descriptor = offer.signed.descriptor.model_copy(update={"minimum_survivors": 5})
        signature = server_key(world.context.deployment_keys[0]).sign(
            RoundDescriptor.model_validate(descriptor.model_dump()).round_id
        )
        signed = SignedDescriptor(descriptor=descriptor, signature=signature)
        return offer.model_copy(update={"signed": signed})

    monkeypatch.setattr(Session, "secure_offer", lower_floor)
    cohort = Cohort(secure_task(world, secure={"minimum_cohort": 7}), tmp_path, 1)
    with pytest.raises(Rejected) as refused:
        cohort.people[0].contribute()
    assert refused.value.slug == "secure-round-refused"
    cohort.close()
