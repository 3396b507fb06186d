"""Identity and tokens: one key per device, renewed without anybody noticing."""

import base64
import os
import time
from pathlib import Path
from types import SimpleNamespace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fedrec_sdk import Contributed, Participant, Rejected, Transport, credentials, transport
from fedrec_sdk.identity import device_key
from fedrec_sdk.testing import FakeAggregator
from tests.unit.sdk.conftest import Join, StartTask


def requests_to(aggregator: FakeAggregator, path: str) -> int:
    return sum(request.path == path for request in aggregator.requests)


def test_enrolment_happens_once_when_it_is_first_needed(aggregator: FakeAggregator, join: Join) -> None:
    ada = join(aggregator, "ada", (0, 1, 2))
    assert aggregator.requests == []
    ada.contribute()
    client_id = ada.enrol()

    restarted = join(aggregator, "ada")
    restarted.contribute()
    assert restarted.enrol() == client_id
    assert requests_to(aggregator, "/v1/enrolments") == 1
    assert requests_to(aggregator, "/v1/tokens") == 0  # the first token was kept


def test_an_expired_token_is_renewed_with_the_device_key(aggregator: FakeAggregator, ada: Participant) -> None:
    ada.contribute()
    aggregator.expire_tokens()

    assert isinstance(ada.contribute(), Contributed)
    assert requests_to(aggregator, "/v1/tokens") == 1
    assert requests_to(aggregator, "/v1/enrolments") == 1


def test_a_token_is_renewed_before_its_end(
    aggregator: FakeAggregator, ada: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada.contribute()
    monkeypatch.setattr(credentials, "time", SimpleNamespace(time=lambda: time.time() + 880))  # of 900 seconds
    ada.contribute()
    assert requests_to(aggregator, "/v1/tokens") == 1
    assert requests_to(aggregator, "/v1/check-ins") == 2  # none was refused and sent again


def test_a_token_that_expires_while_a_report_is_on_its_way_costs_nothing(
    aggregator: FakeAggregator, ada: Participant
) -> None:
    aggregator.refuse(status=401, path="/report")
    assert isinstance(ada.contribute(), Contributed)
    assert len(aggregator.rounds[0].reports) == 1


def test_a_server_that_lost_its_clients_gets_them_back(aggregator: FakeAggregator, ada: Participant) -> None:
    ada.contribute()
    aggregator.clients.forget()
    assert isinstance(ada.contribute(), Contributed)
    assert requests_to(aggregator, "/v1/enrolments") == 2


def test_a_wrong_enrolment_key_is_rejected(aggregator: FakeAggregator, tmp_path: Path) -> None:
    with Participant(aggregator.url, "fe_wrong", tmp_path / "eve") as eve, pytest.raises(Rejected) as refused:
        eve.enrol()
    assert refused.value.slug == "unauthenticated"


def test_another_enrolment_key_means_another_task_with_the_same_device(start_task: StartTask, join: Join) -> None:
    films, books = start_task(), start_task(name="books")
    join(films, "ada", (0, 1, 2)).contribute()
    join(books, "ada").contribute()

    assert films.clients.public_keys == books.clients.public_keys
    assert isinstance(join(films, "ada").contribute(), Contributed)


def test_an_assertion_is_signed_by_the_device_for_two_minutes(ada: Participant) -> None:
    key = device_key(ada.store.values)
    now = 1_800_000_000.7
    assertion = key.assertion("cli_1", now)
    public_key = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key.public_key + "="))
    claims = jwt.decode(
        assertion,
        public_key,
        algorithms=["EdDSA"],
        audience="fedrec",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims == {"iss": "cli_1", "sub": "cli_1", "aud": "fedrec", "iat": 1_800_000_000, "exp": 1_800_000_120}


@pytest.mark.parametrize("seconds_wrong", [-86_400, 86_400])
def test_a_device_with_a_wrong_clock_signs_by_the_servers_time(
    aggregator: FakeAggregator, join: Join, monkeypatch: pytest.MonkeyPatch, seconds_wrong: float
) -> None:
    clock = SimpleNamespace(time=lambda: time.time() + seconds_wrong, monotonic=time.monotonic)
    for module in (transport, credentials):
        monkeypatch.setattr(module, "time", clock)
    join(aggregator, "ada", (0, 1, 2)).enrol()

    clock.time = lambda: time.time() + seconds_wrong + 900  # the token has run out
    with Transport() as new_process:
        assert isinstance(join(aggregator, "ada", transport=new_process).contribute(), Contributed)
    assert requests_to(aggregator, "/v1/tokens") == 2  # the first refusal told the time
    assert requests_to(aggregator, "/v1/enrolments") == 1


def test_the_device_key_is_readable_by_this_user_only(ada: Participant) -> None:
    ada.enrol()
    assert os.stat(ada.store.folder).st_mode & 0o777 == 0o700
    for path in ada.store.folder.iterdir():
        assert os.stat(path).st_mode & 0o077 == 0, path
