"""What a silo refuses: another key, a sum that is not what it is said to be; and what the aggregator refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fedrec_protocol.digest import content_digest
from fedrec_protocol.encrypted.words import from_bytes, to_bytes
from fedrec_protocol.encrypted_messages import ENCRYPTED_MEDIA_TYPE, EncryptedSum
from fedrec_sdk import Contributed, Rejected
from fedrec_sdk.identity import load_identity
from fedrec_sdk.session import Session
from tests.integration.aggregator.cohort import SIZE, Cohort, integer_sum, published_sum
from tests.integration.aggregator.deployment import Device, report_of
from tests.integration.aggregator.silos import encrypted_task, round_of, silo_key
from tests.integration.aggregator.world import World

COORDINATES = SIZE + 4
"""Weight, examples, evaluations and whether it was clipped lie behind the model."""


@pytest.fixture
def cohort(world: World, tmp_path: Path) -> Iterator[Cohort]:
    path = tmp_path / "silo.key"
    cohort = Cohort(encrypted_task(world, silo_key(path)), tmp_path, 4, silo_key=path)
    yield cohort
    cohort.close()


def device_of(cohort: Cohort, number: int = 0) -> Device:
    """A silo's credentials, for requests of a test's own."""
    identity = load_identity(cohort.people[number].store.values, cohort.task.enrolment_key)
    assert identity is not None
    return Device(cohort.task.world, client_id=identity.client_id, token=identity.token)


def assignment_of(cohort: Cohort, number: int = 0) -> str:
    pending = cohort.people[number].store.secure_rounds.pending()
    assert pending is not None
    return pending.assignment_id


def refused(cohort: Cohort, number: int = 0) -> str:
    with pytest.raises(Rejected) as refusal:
        cohort.people[number].contribute()
    assert refusal.value.slug == "encrypted-sum-refused"
    return str(refusal.value)


def test_a_silo_with_another_key_or_none_reports_nothing(cohort: Cohort, tmp_path: Path) -> None:
    silo_key(tmp_path / "other.key")
    for option, words in ((tmp_path / "other.key", "has fingerprint"), (None, "pass silo_key")):
        cohort.options["silo_key"] = option
        cohort.restart()
        with pytest.raises(Rejected, match=words) as refusal:
            cohort.people[0].contribute()
        assert refusal.value.slug == "silo-key-required"
    assert cohort.task.round["assignments"] == 0


def test_an_app_that_demands_masks_or_more_silos_takes_no_part(cohort: Cohort) -> None:
    for option, words in (("require_secure_aggregation", "not masked"), ("minimum_cohort", "at least 3, not 4")):
        cohort.options |= {"require_secure_aggregation": False, "minimum_cohort": None} | {option: 4}
        cohort.restart()
        with pytest.raises(Rejected, match=words):
            cohort.people[0].contribute()


def test_a_single_report_that_is_shown_as_the_sum_is_not_decrypted(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack that makes a shared key worthless, if silos decrypt whatever they are shown."""
    sent = []
    honest = Session.report

    def overheard(self: Session, assignment_id: str, base: str, body: bytes, **options: str) -> object:
        sent.append(body)
        return honest(self, assignment_id, base, body, **options)

    with monkeypatch.context() as listening:
        listening.setattr(Session, "report", overheard)
        cohort.wait(phases=1)
    shown = Session.read_encrypted_sum(cohort.people[0]._session, assignment_of(cohort))
    assert isinstance(shown, EncryptedSum)
    of_one = shown.model_copy(update={"content_digest": content_digest(sent[1])})
    monkeypatch.setattr(Session, "read_encrypted_sum", lambda *_: of_one)
    monkeypatch.setattr(Session, "encrypted_words", lambda *_: sent[1])
    assert "not the sum of one report of each silo" in refused(cohort)
    words = from_bytes(sent[1], len(sent[1]) // 7)
    thrice = to_bytes(words.astype(object) * 3 % 18_014_398_509_309_953)
    of_three = shown.model_copy(update={"content_digest": content_digest(thrice)})
    monkeypatch.setattr(Session, "read_encrypted_sum", lambda *_: of_three)
    monkeypatch.setattr(Session, "encrypted_words", lambda *_: thrice)
    assert "not the sum of one report of each silo" in refused(cohort, 2)


@pytest.mark.parametrize(
    ("kept", "words"),
    [((0, 1), "a sum of 2 silos, not of at least 3"), ((1, 2, 3), "without this silo's"), ((0, 1, 2), "not the sum")],
)
def test_a_sum_of_other_silos_than_are_named_is_not_decrypted(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch, kept: tuple[int, ...], words: str
) -> None:
    cohort.wait(phases=1)
    ids = {cohort.people[number].enrol() for number in kept}
    honest = Session.read_encrypted_sum

    def lying(self: Session, assignment_id: str) -> object:
        shown = honest(self, assignment_id)
        assert isinstance(shown, EncryptedSum)
        named = tuple(one for one in shown.contributors if one.client_id in ids)
        return shown.model_copy(update={"contributors": named})

    monkeypatch.setattr(Session, "read_encrypted_sum", lying)
    assert words in refused(cohort)


def test_a_second_sum_of_one_round_is_not_decrypted(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort.wait(phases=1)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr(Session, "send_decrypted", fail)
        with pytest.raises(KeyboardInterrupt):
            cohort.people[0].contribute()
    honest, words = Session.read_encrypted_sum, bytes(7)
    monkeypatch.setattr(
        Session,
        "read_encrypted_sum",
        lambda *asked: honest(*asked).model_copy(update={"content_digest": content_digest(words)}),  # type: ignore[union-attr]  # it is there
    )
    monkeypatch.setattr(Session, "encrypted_words", lambda *_: words)
    assert "another sum of the same round" in refused(cohort)


def test_reports_that_are_no_encrypted_vector_are_refused_and_harm_nobody(cohort: Cohort) -> None:
    device = cohort.task.device()
    cohort.step(without={3})
    assignment_id = device.assigned()["assignment_id"]
    size, headers = 7 * (8192 + 7), {"Content_Type": ENCRYPTED_MEDIA_TYPE}
    for body, status in ((bytes(size - 7), 422), (b"\xff" * size, 422), (bytes(size + 7), 413)):
        assert device.report(assignment_id, body, **headers).status_code == status
    assert device.report(assignment_id, report_of([1.0] * SIZE)).status_code == 415
    assert cohort.task.round["reports"] == 3


def test_decrypted_sums_are_checked_and_stay_what_they_are(cohort: Cohort) -> None:
    cohort.step()
    device, assignment_id = device_of(cohort), assignment_of(cohort)

    def put(vector: object, *, as_silo: Device = device) -> tuple[int, str]:
        body = np.asarray(vector, "<i4").tobytes()
        headers = {"Content-Type": ENCRYPTED_MEDIA_TYPE, "Content-Digest": content_digest(body)}
        answer = as_silo.send("PUT", f"/v1/assignments/{assignment_id}/decrypted-sum", content=body, headers=headers)
        return answer.status_code, answer.json().get("slug", "")

    exact = np.zeros(COORDINATES)
    assert put(exact[1:]) == (422, "message-rejected")
    assert put(np.append(exact, 0)) == (413, "body-too-large")
    assert put(exact + 4 * 2**23 + 1) == (422, "message-rejected")
    assert put(exact, as_silo=device_of(cohort, 1)) == (404, "unknown-assignment")
    assert put(exact) == put(exact) == (200, "")
    assert put(exact + 1) == (409, "message-conflict")
    assert "decrypting: 1 of 4 silos" in cohort.task.round["waiting_for"]
    cohort.finish(without={0})
    assert put(exact) == (410, "phase-closed")
    assert published_sum(cohort.task, 4) == integer_sum(range(4))
    assert list(round_of(cohort, 1)["blamed"]) == [device.client_id]


def test_the_sum_is_there_when_the_round_has_closed_and_for_its_silos_only(cohort: Cohort) -> None:
    stranger, outsider = cohort.task.device(), cohort.task.world.task().device()
    cohort.people[0].contribute()
    device, path = device_of(cohort), f"/v1/assignments/{assignment_of(cohort)}/encrypted-sum"
    early = device.send("GET", path)
    assert (early.status_code, early.headers["Retry-After"]) == (202, "1")
    assert early.json() == {"decrypted": 0, "quorum": 2}
    assert device.send("GET", f"{path}/words").json()["slug"] == "phase-not-open"
    for other in (stranger, outsider):
        assert other.send("GET", path).json()["slug"] == "unknown-assignment"
        assert other.send("GET", f"{path}/words").json()["slug"] == "unknown-assignment"
    cohort.step(without={0})
    shown, words = device.send("GET", path), device.send("GET", f"{path}/words")
    assert len(shown.json()["contributors"]) == 4
    assert shown.json()["content_digest"] == content_digest(words.content)
    cohort.finish()
    assert (
        device.send("GET", path).json()["slug"] == device.send("GET", f"{path}/words").json()["slug"] == "phase-closed"
    )


def test_a_task_of_plain_reports_has_no_encrypted_sum(world: World) -> None:
    device = world.task().device()
    assignment_id = device.assigned()["assignment_id"]
    answer = device.send("GET", f"/v1/assignments/{assignment_id}/encrypted-sum")
    assert (answer.status_code, answer.json()["slug"]) == (404, "no-homomorphic-encryption")


def test_a_revoked_silo_is_shown_nothing(cohort: Cohort) -> None:
    cohort.step()
    device, path = device_of(cohort), f"/v1/assignments/{assignment_of(cohort)}/encrypted-sum"
    cohort.task.world.operator("DELETE", f"/v1/tasks/{cohort.task.id}/clients/{device.client_id}")
    assert device.send("GET", path).status_code in {401, 403}
    outcomes = cohort.step(without={0})
    assert {type(outcome) for outcome in outcomes.values()} == {Contributed}
