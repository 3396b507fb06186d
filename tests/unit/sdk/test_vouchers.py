"""The app's backend vouches for the person who uses the device."""

import time
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from fedrec_sdk import Contributed, Rejected
from fedrec_sdk.identity import device_key
from fedrec_sdk.testing import FakeAggregator
from tests.issuers import Issuer, jkt
from tests.unit.sdk.conftest import Join, popularity_manifest

BACKEND = Issuer()


@pytest.fixture
def aggregator() -> Iterator[FakeAggregator]:
    with FakeAggregator(popularity_manifest(), vouchers=True) as running:
        yield running


class Backend:
    """Vouches for one person, and remembers for which keys."""

    def __init__(self, person: str) -> None:
        self.person = person
        self.asked: list[str] = []

    def __call__(self, thumbprint: str) -> str:
        self.asked.append(thumbprint)
        return BACKEND.voucher(self.person, time.time(), cnf={"jkt": thumbprint})


def test_the_app_is_asked_for_a_voucher_when_the_device_enrols(aggregator: FakeAggregator, join: Join) -> None:
    backend = Backend("ada")
    ada = join(aggregator, "phone", (0, 1, 2), voucher=backend)
    assert backend.asked == []
    assert isinstance(ada.contribute(), Contributed)
    assert backend.asked == [jkt(device_key(ada.store.values).public_bytes)]
    aggregator.expire_tokens()
    assert isinstance(ada.contribute(), Contributed)
    assert len(backend.asked) == 1
    aggregator.clients.forget()
    assert isinstance(ada.contribute(), Contributed)
    assert len(backend.asked) == 2


def test_two_devices_of_a_person_take_turns_as_one_client(aggregator: FakeAggregator, join: Join) -> None:
    phone = join(aggregator, "phone", (0, 1), voucher=Backend("ada"))
    tablet = join(aggregator, "tablet", (2, 3), voucher=Backend("ada"))
    other = join(aggregator, "laptop", (2, 3), voucher=Backend("bob"))
    assert phone.enrol() == tablet.enrol() != other.enrol()
    assert [type(device.contribute()) for device in (phone, tablet, phone)] == [Contributed] * 3
    assert len(aggregator.clients.public_keys) == 2


def test_a_device_that_goes_to_somebody_else_makes_a_key_of_its_own_for_them(
    aggregator: FakeAggregator, join: Join
) -> None:
    backend = Backend("ada")
    before = join(aggregator, "phone", (0, 1), voucher=backend)
    ada, key = before.enrol(), device_key(before.store.values)
    before.store.values.delete("identity")
    backend.person = "bob"
    bob = join(aggregator, "phone", voucher=backend)
    assert bob.enrol() != ada
    assert device_key(bob.store.values) != key
    assert backend.asked[-2:] == [jkt(key.public_bytes), jkt(device_key(bob.store.values).public_bytes)]
    assert aggregator.clients.public_keys[ada] == key.public_key


def test_what_the_app_raises_is_raised_and_the_next_call_asks_again(aggregator: FakeAggregator, join: Join) -> None:
    class LoggedOut(Exception):
        pass

    backend, is_out = Backend("ada"), [True]

    def voucher(thumbprint: str) -> str:
        if is_out.pop():
            raise LoggedOut
        return backend(thumbprint)

    ada = join(aggregator, "phone", (0, 1, 2), voucher=voucher)
    with pytest.raises(LoggedOut):
        ada.contribute()
    is_out.append(False)
    assert isinstance(ada.contribute(), Contributed)


def test_a_task_that_demands_vouchers_says_so(aggregator: FakeAggregator, join: Join) -> None:
    with pytest.raises(Rejected) as refused:
        join(aggregator, "phone").enrol()
    assert (refused.value.slug, refused.value.problem.status) == ("voucher-required", 401)
    late = join(aggregator, "tablet", voucher=lambda _: BACKEND.voucher("ada", 0))
    with pytest.raises(Rejected) as refused:
        late.enrol()
    assert refused.value.slug == "voucher-invalid"


def test_a_voucher_that_nobody_wants_is_refused(join: Join) -> None:
    with FakeAggregator(popularity_manifest()) as running, pytest.raises(Rejected) as refused:
        join(running, "phone", voucher=Backend("ada")).enrol()
    assert refused.value.slug == "invalid-request"


def test_a_voucher_that_cannot_be_sent_is_not_repeated(aggregator: FakeAggregator, join: Join) -> None:
    with pytest.raises(ValidationError) as refused:
        join(aggregator, "phone", voucher=lambda _: "ada@example.org" * 1000).enrol()
    assert "ada@" not in str(refused.value)
