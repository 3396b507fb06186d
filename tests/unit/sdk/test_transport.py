"""Retries, and what an app sees when they do not help: `Unavailable` or `Rejected`, never httpx."""

import random
import socket
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from fedrec_sdk import Rejected, Transport, Unavailable
from fedrec_sdk.backoff import Backoff
from fedrec_sdk.testing.fake_http import Answer, FakeServer, Request
from fedrec_sdk.testing.faults import Fault, FaultKind, Faults


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def answers() -> dict[str, Answer]:
    return {"/": Answer(200, b"hello")}


@pytest.fixture
def server(faults: Faults, answers: dict[str, Answer]) -> Iterator[FakeServer]:
    server = FakeServer(lambda request: answers[request.path], faults)
    server.start()
    yield server
    server.stop()


def refusing(status: int, count: int, retry_after: float | None = None) -> Fault:
    return Fault(FaultKind.REFUSE, "", count, status=status, retry_after=retry_after)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(
    server: FakeServer, faults: Faults, transport: Transport, naps: list[float], status: int
) -> None:
    faults.add(refusing(status, 2))
    assert transport.send("GET", server.url + "/").body == b"hello"
    assert len(naps) == 2


@pytest.mark.parametrize("kind", [FaultKind.DROP_REQUEST, FaultKind.DROP_RESPONSE])
def test_a_broken_connection_is_tried_again(
    server: FakeServer, faults: Faults, transport: Transport, kind: FaultKind
) -> None:
    faults.add(Fault(kind, "", 3))
    assert transport.send("POST", server.url + "/", body=b"x").body == b"hello"


def test_after_five_attempts_it_is_unavailable(
    server: FakeServer, faults: Faults, transport: Transport, naps: list[float]
) -> None:
    faults.add(refusing(503, 100))
    with pytest.raises(Unavailable):
        transport.send("GET", server.url + "/")
    assert len(naps) == 4


def test_a_short_retry_after_is_waited_for(
    server: FakeServer, faults: Faults, transport: Transport, naps: list[float]
) -> None:
    faults.add(refusing(429, 1, retry_after=1.5))
    transport.send("GET", server.url + "/")
    assert naps == [1.5]


def test_a_long_retry_after_is_passed_on_at_once(
    server: FakeServer, faults: Faults, transport: Transport, naps: list[float]
) -> None:
    faults.add(refusing(503, 1, retry_after=120))
    with pytest.raises(Unavailable) as refused:
        transport.send("GET", server.url + "/")
    assert refused.value.retry_after == timedelta(minutes=2)
    assert naps == []


@pytest.mark.parametrize("form", ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"])
@pytest.mark.parametrize("status", [202, 503])
def test_a_retry_after_may_be_a_date_in_each_form_of_rfc_9110(
    server: FakeServer, answers: dict[str, Answer], transport: Transport, form: str, status: int
) -> None:
    in_an_hour = time.strftime(form, time.gmtime(time.time() + 3600))
    answers["/later"] = Answer(status, b"", headers={"Retry-After": in_an_hour})
    try:
        asked = transport.send("GET", server.url + "/later").retry_after
    except Unavailable as refusal:
        asked = refusal.retry_after
    assert asked is not None
    assert asked.total_seconds() == pytest.approx(3600, abs=120)


@pytest.mark.parametrize("field", ["nan", "soon", ""])
def test_a_retry_after_that_says_nothing_is_none(
    server: FakeServer, answers: dict[str, Answer], transport: Transport, field: str
) -> None:
    answers["/later"] = Answer(202, b"", headers={"Retry-After": field})
    assert transport.send("GET", server.url + "/later").retry_after is None


@pytest.mark.parametrize(("status", "slug"), [(401, "unauthenticated"), (404, "not-found"), (418, "invalid-request")])
def test_a_refusal_without_a_problem_document_is_rejected_all_the_same(
    server: FakeServer, answers: dict[str, Answer], transport: Transport, naps: list[float], status: int, slug: str
) -> None:
    answers["/no"] = Answer(status, b"<html>no</html>", "text/html")
    with pytest.raises(Rejected) as refused:
        transport.send("GET", server.url + "/no")
    assert (refused.value.slug, refused.value.problem.status, naps) == (slug, status, [])


def test_a_download_follows_to_where_the_weights_are(
    server: FakeServer, answers: dict[str, Answer], transport: Transport
) -> None:
    answers["/weights"] = Answer(307, b"", headers={"Location": f"{server.url}/"})
    with transport.stream(server.url + "/weights", {}) as streamed:
        assert b"".join(streamed.chunks) == b"hello"


def test_a_network_that_redirects_to_a_login_is_unavailable(
    server: FakeServer, answers: dict[str, Answer], transport: Transport
) -> None:
    answers["/portal"] = Answer(302, b"", headers={"Location": "http://login.example/"})
    with pytest.raises(Unavailable):
        transport.send("GET", server.url + "/portal")


def test_nobody_listening_is_unavailable(transport: Transport) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(Unavailable):
            transport.send("GET", f"http://127.0.0.1:{port}/")


def test_a_server_that_does_not_answer_in_time_is_unavailable() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with Transport(attempts=1, timeout=0.1) as transport, pytest.raises(Unavailable):
            transport.send("GET", f"http://127.0.0.1:{silent.getsockname()[1]}/")


def test_an_address_that_is_none_is_unavailable(transport: Transport) -> None:
    with pytest.raises(Unavailable):
        transport.send("GET", "http://[/")


@pytest.mark.parametrize("slug", ["digest-mismatch", "body-incomplete", "body-timeout"])
def test_a_body_that_was_spoilt_on_the_way_is_sent_again(
    transport: Transport, faults: Faults, naps: list[float], slug: str
) -> None:
    problem = f'{{"type": "/problems/{slug}", "title": "", "status": 400, "slug": "{slug}"}}'
    answers = [Answer(400, problem.encode()), Answer(201, b"{}")]

    def respond(_: Request) -> Answer:
        return answers.pop(0)

    server = FakeServer(respond, faults)
    server.start()
    try:
        assert transport.send("POST", server.url + "/", body=b"x").status == 201
    finally:
        server.stop()
    assert len(naps) == 1


def test_backoff_is_drawn_from_the_whole_of_a_doubling_interval() -> None:
    backoff = Backoff(base=1.0, cap=10.0, source=random.Random(1))
    for failures, longest in ((1, 1.0), (2, 2.0), (3, 4.0), (5, 10.0), (500, 10.0)):
        waits = [backoff.seconds(failures) for _ in range(2000)]
        assert max(waits) <= longest
        assert sum(waits) / len(waits) == pytest.approx(longest / 2, rel=0.05)


def test_a_repeated_refusal_waits_longer_but_never_shorter_than_asked() -> None:
    backoff = Backoff(source=random.Random(1))
    asked = timedelta(seconds=8)
    assert backoff.paced(asked, refusals=1) == 8.0
    waits = [backoff.paced(asked, refusals=9) for _ in range(2000)]
    assert 8.0 <= min(waits) < max(waits) <= 16.0
    assert sum(waits) / len(waits) == pytest.approx(12.0, rel=0.05)


def test_come_back_at_once_said_twice_is_not_taken_literally() -> None:
    assert Backoff(base=0.25).paced(timedelta(0), refusals=2) >= 0.25
