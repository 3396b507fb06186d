"""What operators ask of the services and are told by them, as JSON: tasks, rounds, keys and the audit log."""

from datetime import datetime

from pydantic import Field

from fedrec_protocol.base import Message, Response
from fedrec_protocol.messages import AnsweredManifest, Role, RoundKind, RoundState, TaskState
from fedrec_protocol.vouchers import Vouchers


class TaskView(Response):
    """A task as operators see it."""

    task_id: str
    """Opaque id."""
    state: TaskState
    """active, paused, completed or failed."""
    state_reason: str
    """Why it is in this state, in words."""
    created_at: datetime
    """When it was created (UTC)."""
    rounds_published: int
    """Training rounds that published a version."""
    current_version_id: str | None
    """The newest version; null until the first is in the registry."""
    manifest: AnsweredManifest
    """What was agreed."""
    manifest_digest: str
    """SHA-256 (hexadecimal) of the manifest's canonical JSON."""


class RoundView(Response):
    """A round as operators see it."""

    round_id: str
    """Opaque id."""
    task_id: str
    """The task."""
    number: int
    """Number in its task, from 1."""
    kind: RoundKind
    """training or evaluation."""
    state: RoundState
    """collecting, aggregating, published or abandoned."""
    waiting_for: str
    """In words, what must happen next, e.g. "2 of 10 reported, 5 at work, closes 2026-03-01 14:05:00 UTC".

    Of a round that is over, what became of it.
    """
    base_version_id: str
    """The version that is trained or evaluated."""
    published_version_id: str | None
    """The version that came of it, once published."""
    opened_at: datetime
    """When it opened (UTC)."""
    deadline: datetime
    """When it closes at the latest (UTC)."""
    closed_at: datetime | None
    """When it stopped collecting (UTC)."""
    assignments: int
    """Assignments issued that have not expired unreported."""
    reports: int
    """Reports counted."""
    aggregation_goal: int
    """Reports that close it at once."""
    minimum_reports: int
    """Reports needed at the deadline."""
    evaluated: int | None
    """Evaluations behind the metrics; null until closed."""
    metrics: dict[str, float] | None
    """Means of the reported metrics of the base version; null until closed."""
    examples: int | None
    """Total weight of the round; null until closed."""
    blamed: dict[str, str] = {}
    """In a secure round, what is held against whom: words by client id. Nobody is revoked for it by itself."""


class PrivacyView(Response):
    """What a private task has spent of its privacy budget."""

    task_id: str
    """The task."""
    spent_epsilon: float
    """Epsilon of everything that was released, for the user who took part as much as the limit allows."""
    budget_epsilon: float
    """No round opens that would bring epsilon above this."""
    target_delta: float
    """The delta of both."""
    charges: int
    """Rounds charged."""
    in_words: str
    """The privacy statement of the newest version, as a paragraph."""


class UnrecordedReleases(Message):
    """An operator says what the privacy ledger of a restored task misses."""

    releases: int = Field(ge=0, le=10_000)
    """Rounds released after the backup, at least as many as there were; 0 where the ledger is whole."""


class EnrolmentKeyRequest(Message):
    """An operator makes an enrolment key for a task."""

    expires_in_seconds: float | None = Field(default=None, gt=0, le=10 * 366 * 86400)
    """Life of the key; null means until revoked."""
    vouchers: Vouchers | None = None
    """What has to be shown to enrol by it; null means nothing: whoever has the key makes any number of clients."""


class EnrolmentKeyView(Response):
    """An enrolment key, without its secret."""

    key_id: str
    """Opaque id."""
    task_id: str
    """The task that it enrols for."""
    created_at: datetime
    """When it was made (UTC)."""
    expires_at: datetime | None
    """When it is refused (UTC)."""
    revoked_at: datetime | None
    """When it was revoked (UTC)."""
    vouchers: Vouchers | None = None
    """What has to be shown to enrol by it."""


class EnrolmentKeyCreated(EnrolmentKeyView):
    """An enrolment key with its secret, shown once."""

    secret: str
    """The key itself; only a keyed hash of it is stored."""


class AuditEntry(Response):
    """One action of an operator."""

    number: int
    """Number in the service's log; larger is newer."""
    at: datetime
    """When (UTC)."""
    operator: str
    """Name of the operator's key; `aggregator` where the service acted by itself."""
    action: str
    """What was done, in words."""
    subject: str
    """Id or name of what it was done to."""


class OperatorKeyRequest(Message):
    """An administrator makes an operator key."""

    name: str = Field(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,100}$")
    """Whose key it is, on one line: lists and logs name it."""
    role: Role
    """What it may do."""
    expires_in_seconds: float | None = Field(default=None, gt=0, le=10 * 366 * 86400)
    """Life of the key; null means until revoked."""


class OperatorKeyView(Response):
    """An operator key, without its secret."""

    key_id: str
    """Opaque id."""
    name: str
    """Whose key it is."""
    role: Role
    """What it may do."""
    created_at: datetime
    """When it was made (UTC)."""
    expires_at: datetime | None
    """When it is refused (UTC)."""
    revoked_at: datetime | None
    """When it was revoked (UTC)."""


class OperatorKeyCreated(OperatorKeyView):
    """An operator key with its secret, shown once."""

    secret: str
    """The key itself; only a keyed hash of it is stored."""
