"""The phases of a secure round as resources: whose they are, when they answer, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from fedrec_protocol import codec
from fedrec_protocol.base import Message
from fedrec_protocol.digest import content_digest
from fedrec_protocol.secagg.encoding import to_base64url
from fedrec_protocol.secagg.participant import load
from fedrec_protocol.secure_messages import MASKED_MEDIA_TYPE
from fedrec_sdk import NotSelected
from fedrec_sdk.identity import load_identity
from fedrec_sdk.session import Session
from fedrec_sdk.store.secure_rounds import PendingSecureRound, SecureRounds
from tests.integration.aggregator.cohort import Cohort, secure_task
from tests.integration.aggregator.deployment import report_of
from tests.integration.aggregator.world import World

READ = ("", "/roster", "/inbox", "/survivors", "/acknowledgements")
WRITTEN = ("/advert", "/shares", "/acknowledgement", "/reveal")
PEOPLE = 6


@pytest.fixture
def cohort(world: World, tmp_path: Path) -> Iterator[Cohort]:
    cohort = Cohort(secure_task(world, PEOPLE), tmp_path, PEOPLE)
    yield cohort
    cohort.close()


def token(cohort: Cohort, number: int) -> str:
    identity = load_identity(cohort.people[number].store.values, cohort.task.enrolment_key)
    assert identity is not None
    return identity.token


def pending(cohort: Cohort, number: int = 0) -> PendingSecureRound:
    found = cohort.people[number].store.secure_rounds.pending()
    assert found is not None
    return found


def message(cohort: Cohort, number: int = 0) -> dict[str, Any]:
    """What this person's device has sent in the phase that is open for it."""
    state: Any = load(pending(cohort, number).state or b"")
    return dict(json.loads(state.answer.model_dump_json()))


def ask(cohort: Cohort, method: str, resource: str, *, as_person: int = 0, of: int = 0, **body: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token(cohort, as_person)}"}
    path = f"/v1/assignments/{pending(cohort, of).assignment_id}/secure{resource}"
    return cohort.task.world.http.request(method, path, headers=headers, **body)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["slug"]


def test_another_participants_resources_do_not_exist(cohort: Cohort) -> None:
    cohort.wait(phases=1)
    for resource in READ:
        assert refusal(ask(cohort, "GET", resource, as_person=1)) == (404, "unknown-assignment")
    advert = message(cohort)
    assert refusal(ask(cohort, "PUT", "/advert", as_person=1, json=advert)) == (404, "unknown-assignment")


def test_nobody_but_participants_comes_in(cohort: Cohort, world: World) -> None:
    cohort.wait(phases=1)
    path = f"/v1/assignments/{pending(cohort).assignment_id}/secure"
    for key in (world.secrets.aggregator_admin_key, cohort.task.enrolment_key):
        for resource in READ:
            assert world.operator("GET", path + resource, key=key).status_code == 401
    for resource in READ:
        assert world.http.get(path + resource).status_code == 401
    for resource in WRITTEN:
        assert world.http.put(path + resource, json={}).status_code == 401


def test_a_plain_task_has_no_phases(world: World) -> None:
    device = world.task().device()
    path = f"/v1/assignments/{device.assigned()['assignment_id']}/secure"
    for resource in READ:
        assert refusal(device.send("GET", path + resource)) == (404, "no-secure-aggregation")


def test_what_is_not_frozen_yet_is_answered_202_with_the_count_so_far(cohort: Cohort) -> None:
    cohort.wait(phases=1, without=[4, 5])
    for resource in READ[1:]:
        answer = ask(cohort, "GET", resource)
        assert (answer.status_code, answer.headers["retry-after"]) == (202, "1")
        assert answer.json() == {"phase": "advertising", "answered": 4, "expected": 6}


def test_the_same_message_again_is_fine_and_another_is_a_conflict_in_every_phase(cohort: Cohort) -> None:
    for resource in ("advert", "shares", "report", "acknowledgement"):
        cohort.wait(phases=1, without=[5])
        if resource != "report":
            sent = message(cohort)
            assert ask(cohort, "PUT", f"/{resource}", json=sent).status_code == 200
            signature = message(cohort, 1)["signature"]
            assert refusal(ask(cohort, "PUT", f"/{resource}", json=sent | {"signature": signature})) == (
                409,
                "message-conflict",
            )
        cohort.people[5].contribute()
        cohort.task.world.work()
        if resource != "report":
            assert ask(cohort, "PUT", f"/{resource}", json=sent).status_code == 200  # its answer may have been lost


def test_messages_come_neither_early_nor_late(cohort: Cohort, world: World) -> None:
    cohort.wait(phases=1, without=[5])
    advert = message(cohort)
    zeros = {"roster_hash": "A" * 43, "sealed": "", "digests": "", "signature": "A" * 86}
    assert refusal(ask(cohort, "PUT", "/shares", json=zeros)) == (409, "phase-not-open")
    world.advance(601)
    world.work()
    cohort.people[5].contribute()  # trains, and is too late to join: everybody else is on the roster
    assert cohort.people[5].store.secure_rounds.pending() is None
    assert ask(cohort, "PUT", "/advert", json=advert).status_code == 200
    assert refusal(ask(cohort, "PUT", "/shares", json=zeros)) == (422, "message-rejected")
    cohort.wait(phases=3, without=[5])
    kept = pending(cohort)
    cohort.finish(without=[5])
    headers = {"Authorization": f"Bearer {token(cohort, 0)}"}
    for resource in READ:
        answer = world.http.get(f"/v1/assignments/{kept.assignment_id}/secure{resource}", headers=headers)
        assert refusal(answer) == (410, "phase-closed")


def test_an_advert_that_does_not_verify_is_refused(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Message] = []
    with monkeypatch.context() as held:
        held.setattr(Session, "send_secure", lambda _, __, ___, message: sent.append(message))
        cohort.wait(phases=1)
    advert, other = (json.loads(message.model_dump_json()) for message in sent[:2])
    low_order = to_base64url(bytes(32))
    for wrong in (
        {"signature": other["signature"]},
        {"mask_key": other["mask_key"]},
        {"mask_key": low_order, "share_key": low_order},
        {"certificate": other["certificate"]},
        {"certificate": advert["certificate"] | {"device_key": other["certificate"]["device_key"]}},
    ):
        assert refusal(ask(cohort, "PUT", "/advert", json=advert | wrong)) == (422, "message-rejected")
    assert ask(cohort, "PUT", "/advert", json=advert).status_code == 200


def test_a_revoked_device_does_not_join(cohort: Cohort, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as held:
        held.setattr(Session, "send_secure", lambda *_: None)
        cohort.wait(phases=1)
    client_id = cohort.people[0].enrol()
    assert world.operator("DELETE", f"/v1/tasks/{cohort.task.id}/clients/{client_id}").status_code in {200, 204}
    assert refusal(ask(cohort, "PUT", "/advert", json=message(cohort))) == (403, "forbidden")


MASKED_BYTES = 4 * (12 + 4)
"""32 bits for each of 12 coordinates, and of weight, examples, evaluations and clip bit."""


def post_masked(
    cohort: Cohort, world: World, number: int, body: bytes, media_type: str = MASKED_MEDIA_TYPE, *, url: str = ""
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token(cohort, number)}", "Content-Type": media_type}
    headers["Content-Digest"] = content_digest(body)
    path = f"/v1/assignments/{pending(cohort, number).assignment_id}/report"
    return world.http.post(url + path, content=body, headers=headers)


def test_a_masked_report_that_another_process_took_has_its_receipt_after_its_phase_too(
    cohort: Cohort, world: World
) -> None:
    """Where it was handed out, the assignment is remembered as it was."""
    here, elsewhere, _ = world.aggregator_urls
    cohort.wait(phases=2)
    taken = post_masked(cohort, world, 3, bytes(MASKED_BYTES), url=elsewhere)  # the fourth person asked `here`
    cohort.wait(phases=1, without=[3])
    assert cohort.phase == "confirming"
    again = post_masked(cohort, world, 3, bytes(MASKED_BYTES), url=here)
    assert (taken.status_code, again.status_code, again.json()) == (201, 200, taken.json())


def test_a_masked_report_of_who_dealt_no_shares_is_refused(cohort: Cohort, world: World) -> None:
    """Nobody could take its masks off."""
    cohort.wait(phases=1)
    cohort.wait(phases=1, without=[5])
    world.advance(61)
    world.work()
    assert cohort.phase == "reporting"
    assert refusal(post_masked(cohort, world, 5, bytes(MASKED_BYTES))) == (410, "phase-closed")


def test_a_masked_report_comes_once_in_its_phase_and_as_it_is_agreed(cohort: Cohort, world: World) -> None:
    def post(body: bytes, media_type: str = MASKED_MEDIA_TYPE) -> httpx.Response:
        return post_masked(cohort, world, 0, body, media_type)

    size = MASKED_BYTES
    cohort.wait(phases=1)
    assert refusal(post(bytes(size))) == (409, "phase-not-open")
    cohort.wait(phases=1)
    assert refusal(post(codec.encode(report_of(range(12))), codec.MEDIA_TYPE)) == (415, "unsupported-media-type")
    assert refusal(post(bytes(size - 4))) == (422, "wrong-shape")
    assert refusal(post(bytes(size + 1))) == (413, "body-too-large")
    cohort.people[0].contribute()
    masked = pending(cohort)
    assert masked.report_id is not None
    assert masked.body is None
    assert refusal(post(bytes(size))) == (409, "report-conflict")


def test_of_many_different_messages_at_once_one_is_accepted(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    def advert() -> dict[str, Any]:
        sent: list[Message] = []
        with monkeypatch.context() as held:
            held.setattr(Session, "send_secure", lambda _, __, ___, message: sent.append(message))
            held.setattr(SecureRounds, "joined", lambda _: frozenset())  # a device that forgets what it has joined
            cohort.people[0].contribute()
        return dict(json.loads(sent[0].model_dump_json()))

    adverts = [advert()]
    for _ in range(6):
        cohort.people[0].forget()
        with monkeypatch.context() as held:
            held.setattr(SecureRounds, "join", lambda store, _, state: store.answer(state))
            cohort.restart()
            adverts.append(advert())
    assert len({advert["mask_key"] for advert in adverts}) == 7
    with ThreadPoolExecutor(7) as pool:
        answers = list(pool.map(lambda advert: ask(cohort, "PUT", "/advert", json=advert), adverts))
    assert sorted(answer.status_code for answer in answers) == [200] + 6 * [409]


def test_a_device_that_lost_its_keys_or_came_too_late_is_told_to_wait(cohort: Cohort, world: World) -> None:
    cohort.wait(phases=1, without=[5])
    cohort.people[0].forget()

    def waits(number: int) -> bool:
        outcome = cohort.people[number].contribute()
        return isinstance(outcome, NotSelected) and outcome.retry_after.total_seconds() >= 1

    assert waits(0)  # though others may still join
    world.advance(601)
    world.work()
    assert waits(0)
    assert waits(5)
