"""A device's key: replaced on demand or by age, and nothing is lost on the way."""

import time
from datetime import timedelta
from types import SimpleNamespace

import httpx
import pytest

from fedrec_sdk import Contributed, Participant, Rejected, Unavailable, credentials
from fedrec_sdk.identity import device_key, is_key_changing, load_identity
from fedrec_sdk.testing import FakeAggregator
from tests.unit.sdk.conftest import Join, StartTask


def registered_key(aggregator: FakeAggregator, participant: Participant) -> str:
    return aggregator.clients.public_keys[participant.enrol()]


def test_the_client_goes_on_with_another_key(aggregator: FakeAggregator, ada: Participant) -> None:
    client_id, before = ada.enrol(), device_key(ada.store.values)
    ada.rotate_key()
    assert ada.enrol() == client_id
    assert registered_key(aggregator, ada) == device_key(ada.store.values).public_key != before.public_key
    assert isinstance(ada.contribute(), Contributed)


@pytest.mark.parametrize("lost", ["request", "answer"])
def test_a_rotation_that_was_cut_off_is_finished_before_anything_else(
    aggregator: FakeAggregator, ada: Participant, join: Join, lost: str
) -> None:
    client_id = ada.enrol()
    drop = aggregator.drop_requests if lost == "request" else aggregator.drop_responses
    drop(5, path="/device-key")
    with pytest.raises(Unavailable):
        ada.rotate_key()
    assert is_key_changing(ada.store.values)
    aggregator.expire_tokens()

    restarted = join(aggregator, "ada")
    assert isinstance(restarted.contribute(), Contributed)
    assert restarted.enrol() == client_id
    assert not is_key_changing(restarted.store.values)
    assert registered_key(aggregator, restarted) == device_key(restarted.store.values).public_key


def test_a_lost_answer_is_repaired_by_the_retry_within_the_call(aggregator: FakeAggregator, ada: Participant) -> None:
    client_id = ada.enrol()
    aggregator.drop_responses(path="/device-key")
    ada.rotate_key()
    assert (ada.enrol(), registered_key(aggregator, ada)) == (client_id, device_key(ada.store.values).public_key)


def test_a_server_that_forgot_the_client_in_the_middle_gets_it_back(
    aggregator: FakeAggregator, ada: Participant
) -> None:
    ada.enrol()
    aggregator.drop_requests(5, path="/device-key")
    with pytest.raises(Unavailable):
        ada.rotate_key()
    aggregator.clients.forget()
    assert isinstance(ada.contribute(), Contributed)


def test_a_revoked_client_gets_no_key_and_no_work(aggregator: FakeAggregator, ada: Participant) -> None:
    aggregator.revoke(ada.enrol())
    with pytest.raises(Rejected) as refused:
        ada.rotate_key()
    assert refused.value.slug == "unauthenticated"
    assert not isinstance(ada.contribute(), Contributed)


def test_a_key_that_is_too_old_is_replaced_with_the_next_token(
    aggregator: FakeAggregator, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = join(aggregator, "ada", (0, 1, 2), key_lifetime=timedelta(days=30))
    young = registered_key(aggregator, ada)
    for days, is_same in ((29, True), (31, False)):
        now = time.time() + days * 86400
        monkeypatch.setattr(credentials, "time", SimpleNamespace(time=lambda now=now: now))
        ada.contribute()
        assert (registered_key(aggregator, ada) == young) is is_same


def test_a_next_key_that_is_refused_is_given_up_with_the_next_token(
    aggregator: FakeAggregator, ada: Participant
) -> None:
    own = registered_key(aggregator, ada)
    aggregator.refuse(2, path="/device-key", status=401)
    with pytest.raises(Rejected):
        ada.rotate_key()
    assert is_key_changing(ada.store.values)
    aggregator.expire_tokens()
    assert isinstance(ada.contribute(), Contributed)
    assert not is_key_changing(ada.store.values)
    assert registered_key(aggregator, ada) == own


def test_a_key_that_was_made_by_a_clock_years_ahead_is_replaced_with_the_next_token(
    aggregator: FakeAggregator, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = join(aggregator, "ada", (0, 1, 2), key_lifetime=timedelta(days=30))
    with monkeypatch.context() as ahead:
        ahead.setattr(credentials, "time", SimpleNamespace(time=lambda: time.time() + 10 * 365 * 86400))
        of_the_future = registered_key(aggregator, ada)
    aggregator.expire_tokens()
    ada.contribute()
    assert registered_key(aggregator, ada) != of_the_future


def test_where_the_task_demands_it_every_request_is_signed_from_the_first(start_task: StartTask, join: Join) -> None:
    aggregator = start_task(signed_requests=True)
    aggregator.change_catalogue(capacity=6, add=["a", "b"])
    ada = join(aggregator, "ada", (0, 1, 2))
    assert isinstance(ada.contribute(), Contributed)
    aggregator.promote(1)
    ada.refresh_model()
    ada.refresh_catalogue()
    ada.rotate_key()
    assert isinstance(ada.contribute(), Contributed)

    proving = {"/v1/enrolments", "/v1/tokens", "/v1/device-key"}
    sent = [request for request in aggregator.requests if request.path not in proving]
    assert all("signature" in request.headers for request in sent)
    assert "since=0" in {request.query for request in sent}


def test_the_fake_refuses_requests_that_are_not_signed_or_not_by_this_device(start_task: StartTask, join: Join) -> None:
    aggregator = start_task(signed_requests=True)
    ada = join(aggregator, "ada", (0, 1, 2))
    client_id, identity = ada.enrol(), load_identity(ada.store.values, aggregator.enrolment_key)
    assert identity is not None
    headers = {"Authorization": f"Bearer {identity.token}"}
    answer = httpx.get(f"{aggregator.url}/v1/task", headers=headers, timeout=10, trust_env=False)
    assert (answer.status_code, answer.json()["slug"]) == (401, "signature-required")
    ada.store.values.rename("device_key", "elsewhere")
    assert isinstance(ada.contribute(), Contributed)
    assert ada.enrol() != client_id
