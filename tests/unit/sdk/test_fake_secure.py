"""The fake's secure rounds: apps test what they demand, and that people who leave harm nobody."""

import contextlib
import re
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fedrec_protocol.manifest import RoundPolicy, StopCriteria
from fedrec_protocol.secure_aggregation import SecureAggregation
from fedrec_sdk import (
    Contributed,
    Participant,
    Rejected,
    TaskEnded,
    TooLate,
    Unavailable,
    WaitingForOthers,
    credentials,
)
from fedrec_sdk.testing import FakeAggregator
from tests.unit.sdk.conftest import Join, StartTask
from tests.unit.sdk.popularity import ITEMS

PEOPLE = 6
HISTORIES = [[(person + later) % ITEMS for later in (0, 1, 2, 4)] for person in range(PEOPLE)]
PHASES = 5
TERMS = SecureAggregation(modulus_bits=40, value_bits=32, minimum_cohort=5)


@pytest.fixture
def secure(start_task: StartTask) -> FakeAggregator:
    return start_task(
        secure_aggregation=TERMS, rounds=RoundPolicy(aggregation_goal=PEOPLE), stop=StopCriteria(round_budget=1)
    )


@pytest.fixture
def people(secure: FakeAggregator, join: Join) -> list[Participant]:
    return [join(secure, f"person-{number}", items) for number, items in enumerate(HISTORIES)]


def step(people: Sequence[Participant]) -> set[type]:
    return {type(person.contribute()) for person in people}


def finish(people: Sequence[Participant]) -> None:
    """Everybody goes on until its contribution is counted; whoever answers last is a phase ahead of the others."""
    waiting = list(people)
    for _ in range(PHASES):
        waiting = [person for person in waiting if isinstance(person.contribute(), WaitingForOthers)]
    assert not waiting


def mean_share(histories: Sequence[Sequence[int]]) -> Any:
    """The weighted mean of everybody's shares without the held-out last item, from shares of zero."""
    trained = [history[:-1] for history in histories]
    return sum(np.bincount(items, minlength=ITEMS) for items in trained) / sum(len(items) for items in trained)


def test_what_is_under_the_mask_is_in_no_file_once_the_report_is_masked(people: list[Participant]) -> None:
    ada = people[0]
    step(people)
    before = ada.store.secure_rounds.pending()
    assert before is not None
    assert before.vector in files_of(ada)
    step(people)
    assert before.vector in files_of(ada)
    step(people)
    after = ada.store.secure_rounds.pending()
    assert after is not None
    assert after.vector == b""
    assert before.vector not in files_of(ada)


def files_of(participant: Participant) -> bytes:
    """Everything that the store's files hold."""
    return b"".join(path.read_bytes() for path in sorted(participant.store.folder.glob("participant.sqlite*")))


def test_a_round_and_its_evaluation_publish_what_plain_reports_would(
    secure: FakeAggregator, people: list[Participant]
) -> None:
    finish(people)
    finish(people)
    assert secure.versions[1].tensors["share"] == pytest.approx(mean_share(HISTORIES), abs=1e-6)
    assert secure.versions[1].metrics["hr@2"] >= 0
    assert isinstance(people[0].contribute(), TaskEnded)


def test_each_message_of_a_round_is_answered_once_whatever_is_lost_and_whoever_restarts(
    secure: FakeAggregator, people: list[Participant], join: Join
) -> None:
    sent = ("advert", "shares", "report", "acknowledgement", "reveal")
    for resource in sent:
        secure.drop_responses(5, path=f"/{resource}")
    while len(secure.versions) == 1:
        for number in range(PEOPLE):
            with contextlib.suppress(Unavailable):
                join(secure, f"person-{number}").contribute()
    assert secure.versions[1].tensors["share"] == pytest.approx(mean_share(HISTORIES), abs=1e-6)

    asked: dict[str, list[tuple[str, bytes]]] = {}
    for request in secure.requests:
        if found := re.fullmatch(r"/v1/assignments/(asg_1_\w+)/(?:secure/)?(\w+)", request.path):
            asked.setdefault(found[1], []).append((found[2], request.body))
    assert len(asked) == PEOPLE
    for requests in asked.values():
        resources = [resource for resource, _ in requests]
        assert all(len({body for resource, body in requests if resource == each}) == 1 for each in sent)
        # Whoever has answered a message never looks at it again, whatever it says by then.
        for message, answer in zip(("roster", "inbox", "survivors", "acknowledgements"), sent[1:], strict=True):
            assert message not in resources[resources.index(answer) :]


def test_no_report_is_seen_but_their_mean(secure: FakeAggregator, people: list[Participant]) -> None:
    finish(people)
    (seen,) = secure.rounds[0].reports
    assert seen.client_id == ""
    assert seen.examples == sum(len(items) - 1 for items in HISTORIES)


def test_somebody_who_leaves_after_sharing_is_not_in_the_sum(secure: FakeAggregator, people: list[Participant]) -> None:
    step(people)
    step(people)
    step(people[1:])
    secure.close_round()  # the phase's deadline
    finish(people[1:])
    assert secure.versions[1].tensors["share"] == pytest.approx(mean_share(HISTORIES[1:]), abs=1e-6)


def test_a_device_whose_credentials_are_refused_goes_on_with_its_round_when_they_are_not(
    secure: FakeAggregator, people: list[Participant]
) -> None:
    step(people)
    secure.refuse(path="/shares", status=403)
    with pytest.raises(Rejected):
        people[0].contribute()
    finish(people)
    assert secure.versions[1].tensors["share"] == pytest.approx(mean_share(HISTORIES), abs=1e-6)


def test_whoever_reported_and_comes_back_after_the_round_has_contributed_to_it(
    secure: FakeAggregator, people: list[Participant]
) -> None:
    for _ in range(3):
        step(people)
    for _ in range(2):  # the deadlines of agreeing and of revealing
        step(people[1:])
        secure.close_round()
    assert secure.versions[1].tensors["share"] == pytest.approx(mean_share(HISTORIES), abs=1e-6)
    outcome = people[0].contribute()
    assert isinstance(outcome, Contributed)
    assert outcome.round_number == 1


def test_a_key_that_is_too_old_is_not_replaced_within_a_round_that_knows_the_device_by_it(
    secure: FakeAggregator, people: list[Participant], join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = people[0] = join(secure, "person-0", key_lifetime=timedelta(days=30))
    step(people)
    key = ada.store.values.get("device_key")
    in_a_month = time.time() + 31 * 86400
    monkeypatch.setattr(credentials, "time", SimpleNamespace(time=lambda: in_a_month))
    finish(people)
    assert secure.versions[1].tensors["share"] == pytest.approx(mean_share(HISTORIES), abs=1e-6)
    assert ada.store.values.get("device_key") == key
    secure.expire_tokens()
    ada.contribute()
    assert ada.store.values.get("device_key") != key


@pytest.mark.parametrize("leave", [Participant.forget, Participant.rotate_key])
def test_whoever_is_forgotten_or_gets_another_key_leaves_the_round_that_is_under_way(
    secure: FakeAggregator, people: list[Participant], leave: Callable[[Participant], None]
) -> None:
    step(people)
    assert people[0].store.secure_rounds.pending() is not None
    leave(people[0])
    assert people[0].store.secure_rounds.pending() is None
    step(people[1:])
    secure.close_round()
    finish(people[1:])
    assert secure.versions[1].tensors["share"] == pytest.approx(mean_share(HISTORIES[1:]), abs=1e-6)


def test_a_round_below_the_floor_is_abandoned(secure: FakeAggregator, people: list[Participant]) -> None:
    step(people[:4])
    secure.close_round()
    assert step(people[:4]) == {TooLate}
    assert len(secure.versions) == 1
    assert secure.rounds[-1].number == 2


def test_an_app_that_demands_masks_is_refused_a_plain_task(aggregator: FakeAggregator, join: Join) -> None:
    person = join(aggregator, "careful", (0, 1, 2), require_secure_aggregation=True)
    with pytest.raises(Rejected) as refused:
        person.contribute()
    assert refused.value.slug == "secure-aggregation-required"


@pytest.mark.parametrize(
    ("demands", "slug"),
    [
        ({"minimum_cohort": 7}, "secure-aggregation-required"),
        ({"device_registry_key": bytes(32)}, "secure-round-refused"),
    ],
)
def test_an_app_that_demands_more_than_the_task_promises_refuses(
    secure: FakeAggregator, join: Join, demands: dict[str, Any], slug: str
) -> None:
    with pytest.raises(Rejected) as refused:
        join(secure, "careful", (0, 1, 2), **demands).contribute()
    assert refused.value.slug == slug


def test_a_device_refuses_a_certificate_of_another_key_than_its_own(people: list[Participant]) -> None:
    people[0].enrol()
    people[0].store.values.put("device_key", bytes(range(32)))
    with pytest.raises(Rejected, match="the certificate is another device's") as refused:
        people[0].contribute()
    assert refused.value.slug == "secure-round-refused"


def test_an_app_whose_demands_are_met_takes_part(secure: FakeAggregator, join: Join) -> None:
    demands = {"require_secure_aggregation": True, "minimum_cohort": 5}
    person = join(secure, "careful", (0, 1, 2), device_registry_key=secure.device_registry_key, **demands)
    assert isinstance(person.contribute(), WaitingForOthers)
