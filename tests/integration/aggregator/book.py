"""What everybody sent and was told, kept beside the services: the promise that a published sum is held against.

Every body that anybody sends in a round holds another power of two, so a published sum says which bodies are in it.
The book remembers what each sender was told; the receipts say what the service promised; the sum is the truth.
Many threads may use one book; one assignment belongs to one of them at a time.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import httpx

from fedrec_protocol import codec
from fedrec_protocol.digest import content_digest
from fedrec_protocol.messages import RoundState
from tests.integration.aggregator.deployment import Device, Task
from tests.integration.aggregator.powers import POWERS, Ballot

CLOSED = frozenset({"round-closed", "assignment-expired"})


@dataclass
class Work:
    """An assignment as its device knows it."""

    device: Device
    id: str
    round_id: str
    bodies: list[bytes] = field(default_factory=list)
    receipt: dict[str, Any] | None = None


class Book:
    """The letters of one task.

    Args:
        task: whose rounds are compared.
        later: slugs of refusals that only mean: try later.
        ballot: how its bodies say who sent them, and its outcomes who was counted.
    """

    def __init__(self, task: Task, *, later: frozenset[str], ballot: Ballot = POWERS) -> None:
        self.task = task
        self._ballot = ballot
        self.work: dict[str, Work] = {}
        self._later = later
        self._exponents: dict[str, dict[str, int]] = {}
        self._checked: set[str] = set()
        self._lock = threading.Lock()

    def assigned(self, device: Device, answer: Any) -> Work | None:
        """The work that a check-in brought; None where there was none."""
        if answer["outcome"] == "not-selected":
            return None
        assignment = answer["assignment"]
        new = Work(device, assignment["assignment_id"], assignment["round_id"])
        with self._lock:
            known = self.work.setdefault(new.id, new)
        assert known.device is device, "the assignment is another device's"
        assert known.receipt is None, "work is handed out that was acknowledged before"
        return known

    def new_body(self, work: Work) -> bytes | None:
        """A body that nobody sent in this round before; None when there is no other."""
        with self._lock:
            exponents = self._exponents.setdefault(work.round_id, {})
            if len(exponents) >= self._ballot.bodies:
                return None
            body = codec.encode(self._ballot.body(len(exponents)))
            exponents[content_digest(body)] = len(exponents)
            work.bodies.append(body)
            return body

    def send(self, work: Work, body: bytes, *, url: str = "") -> httpx.Response:
        """Send a body, and hold the answer against what was answered before."""
        before = work.receipt
        answer = work.device.report(work.id, body, url=url)
        if answer.status_code in {200, 201}:
            receipt = answer.json()
            assert receipt["content_digest"] == content_digest(body), "a receipt of another body"
            with self._lock:
                assert work.receipt in (None, receipt), "a second receipt that is not the first"
                work.receipt = receipt
        else:
            self._require_a_reason(work, body, answer, before)
        return answer

    def promised(self, round_id: str) -> set[int]:
        """Exponents of the bodies that have receipts; every receipt that was handed out is among them."""
        exponents = set()
        for work in [work for work in self.work.values() if work.round_id == round_id]:
            view = work.device.assignment(work.id)
            assert view["state"] in {"reported", "expired"}, view
            assert work.receipt is None or view["receipt"] == work.receipt, "an acknowledged report has no receipt"
            if view["receipt"] is not None:
                exponents.add(self._exponents[round_id][view["receipt"]["content_digest"]])
        return exponents

    def compare_ended_rounds(self, *, minimum_reports: int) -> int:
        """Hold every round that ended since against its receipts; returns how many reports were acknowledged in them.

        An abandoned round says why, and has released nothing.
        """
        reports = 0
        for round_ in self.task.get("/rounds?limit=500"):
            if round_["round_id"] in self._checked or round_["state"] not in {"published", "abandoned"}:
                continue
            self._checked.add(round_["round_id"])
            promised = self.promised(round_["round_id"])
            reports += len(promised)
            if round_["state"] == RoundState.ABANDONED:
                assert round_["waiting_for"].startswith("it was abandoned: "), round_
                assert round_["published_version_id"] is None
                continue
            self._ballot.require(self.task, round_, promised)
            assert round_["reports"] == len(promised) >= minimum_reports, round_
        return reports

    def _require_a_reason(self, work: Work, body: bytes, answer: httpx.Response, before: dict[str, Any] | None) -> None:
        slug = answer.json()["slug"]
        if slug == "report-conflict":
            assert len(work.bodies) > 1, "a conflict with nothing"
            assert before is None or before["content_digest"] != content_digest(body), "a conflict with itself"
            return
        assert slug in CLOSED | self._later, f"{answer.status_code} {answer.text}"
        if slug in CLOSED:
            assert before is None, f"acknowledged before, and now {slug}"
        else:
            assert answer.status_code == 401 or "Retry-After" in answer.headers, f"{slug} does not say when"
