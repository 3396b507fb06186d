"""Request and response bodies of the aggregator, as JSON."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, WrapValidator

from fedrec_protocol.base import Message, Response
from fedrec_protocol.manifest import TaskManifest, TrainingPlan
from fedrec_protocol.manifest_evolution import without_unknown_that_is_off

AnsweredManifest = Annotated[TaskManifest, WrapValidator(without_unknown_that_is_off)]
"""A manifest in an answer of a server that may be newer than its reader."""


class TaskState(StrEnum):
    """The life of a task."""

    ACTIVE = "active"  # rounds open one after the other
    PAUSED = "paused"  # the open round may finish; no new one opens
    COMPLETED = "completed"  # converged, or a budget is used up
    FAILED = "failed"  # stopped: an operator puts right what the reason says, and resumes it


class RoundKind(StrEnum):
    """What a round asks of its participants."""

    TRAINING = "training"  # train from the base version and report what changed
    EVALUATION = "evaluation"  # only measure the base version


class RoundState(StrEnum):
    """The life of a round."""

    COLLECTING = "collecting"  # assignments are out; reports are accepted
    AGGREGATING = "aggregating"  # no more reports; the sum becomes the next parameters
    PUBLISHED = "published"  # the registry holds the outcome
    ABANDONED = "abandoned"  # too few reports at the deadline; nothing was released


class Role(StrEnum):
    """What an operator's key may do; each role includes the ones before it."""

    READ = "read"  # look
    RUN = "run"  # create and steer tasks, publish and promote
    ADMIN = "admin"  # manage credentials


# ---- participants -----------------------------------------------------------------------------------


class EnrolmentRequest(Message):
    """A device asks to take part in a task; sent with the task's enrolment key."""

    public_key: str = Field(pattern=r"^[A-Za-z0-9_-]{43}$", examples=["11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"])
    """The device's Ed25519 public key: 32 raw bytes, base64url without padding."""


class AccessToken(Response):
    """A short-lived bearer token."""

    access_token: str
    """Sent as `Authorization: Bearer ...`."""
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the kind of token, not a token
    """Always `bearer`."""
    expires_in_seconds: float
    """Time until the token is refused."""
    must_sign: bool = False
    """Whether requests with this token have to be signed with the device's key (RFC 9421)."""


class Enrolment(Response):
    """The answer to an enrolment: who you are from now on."""

    client_id: str
    """Opaque id of this client; stable for the life of its device key."""
    task_id: str
    """The task that the client takes part in."""
    token: AccessToken
    """A first access token; later ones come from POST /v1/tokens."""


class TokenRequest(Message):
    """A device asks for a new access token, signing with its device key."""

    assertion: str = Field(max_length=4096)
    """JWT (EdDSA) with `iss` and `sub` the client id, `aud` "fedrec", `iat`, and `exp` within 5 minutes."""


class KeyChange(Message):
    """A device replaces its key: the key that it has signs for the one that it wants, and that one for itself.

    Both are JWTs (EdDSA) with `iss` and `sub` the client id, `aud` "fedrec device key", `new_key` the new public key
    (32 raw bytes, base64url without padding), `iat`, and `exp` within 5 minutes.
    """

    assertion: str = Field(max_length=4096)
    """Signed with the device's key as it is."""
    confirmation: str = Field(max_length=4096)
    """Signed with the new key."""


class ParticipantTask(Response):
    """The task as its participants see it."""

    task_id: str
    """The task."""
    state: TaskState
    """active, paused, completed or failed."""
    manifest: AnsweredManifest
    """What was agreed."""
    manifest_digest: str
    """SHA-256 (hexadecimal) of the manifest's canonical JSON."""
    registry_url: str | None = None
    """Base address of the model registry, for participants that want a version without an assignment."""


class CheckInRequest(Message):
    """A participant asks for work."""

    kinds: tuple[RoundKind, ...] = (RoundKind.TRAINING, RoundKind.EVALUATION)
    """Kinds of round it can take part in now."""


class ModelReference(Response):
    """A model version in the registry: what to download and how to check it."""

    model: str
    """Name of the model."""
    version_id: str
    """Opaque id of the version."""
    number: int
    """Number of the version in its model, from 0."""
    digest: str
    """SHA-256 of the weights file, in hexadecimal: its ETag."""
    size_bytes: int
    """Size of the weights file."""
    url: str
    """Absolute address of the weights in the registry."""


class Assignment(Response):
    """One participant's work in one round: a row with a deadline, never an open connection."""

    assignment_id: str
    """Opaque id; the report is posted to /v1/assignments/{assignment_id}/report."""
    task_id: str
    """The task."""
    round_id: str
    """Opaque id of the round."""
    round_number: int
    """Number of the round in its task, from 1."""
    kind: RoundKind
    """Train, or only evaluate."""
    base: ModelReference
    """The version to train from, or to evaluate."""
    training: TrainingPlan
    """What to do with the local examples."""
    clipping_norm: float | None = None
    """L2 bound on this round's report where the task's clipping is adaptive; null: the manifest's `maximum_norm`."""
    manifest_digest: str
    """SHA-256 (hexadecimal) of the task manifest's canonical JSON; a new one means: fetch it again."""
    deadline: datetime
    """When the round stops accepting reports (server time, UTC)."""
    expires_in_seconds: float
    """Time left until then, for devices whose clock is wrong."""


class NotSelectedReason(StrEnum):
    """Why there is no work now."""

    NO_OPEN_ROUND = "no-open-round"
    COHORT_FULL = "cohort-full"
    ALREADY_REPORTED = "already-reported"
    PARTICIPATION_CAP = "participation-cap"
    TOO_SOON = "too-soon"
    TASK_PAUSED = "task-paused"
    TASK_ENDED = "task-ended"
    TOO_LATE = "too-late"  # the assignment of this round has expired
    REVOKED = "revoked"
    NOT_DRAWN = "not-drawn"  # the server drew this round's participants by coins


class Assigned(Response):
    """There is work."""

    outcome: Literal["assigned"] = "assigned"
    """Tells the two answers apart."""
    assignment: Assignment
    """The work."""


class NotSelected(Response):
    """There is no work now; come back later."""

    outcome: Literal["not-selected"] = "not-selected"
    """Tells the two answers apart."""
    reason: NotSelectedReason
    """Why."""
    detail: str
    """The reason in words."""
    retry_after_seconds: float
    """When to check in again; also sent as Retry-After."""


CheckIn = Annotated[Assigned | NotSelected, Field(discriminator="outcome")]
"""The answer to a check-in."""


class Receipt(Response):
    """The durable proof that a report was counted."""

    report_id: str
    """Opaque id of the report."""
    assignment_id: str
    """The assignment it answered."""
    round_id: str
    """The round it was counted in."""
    content_digest: str
    """Content-Digest of the body that was counted."""
    accepted_at: datetime
    """When it became durable (UTC)."""


class AssignmentState(StrEnum):
    """What became of an assignment."""

    OPEN = "open"  # waiting for the report
    REPORTED = "reported"  # its report is counted
    EXPIRED = "expired"  # the round closed, or the deadline passed, without a report


class AssignmentView(Response):
    """One's own assignment."""

    assignment_id: str
    """Opaque id."""
    round_id: str
    """Its round."""
    state: AssignmentState
    """open, reported or expired."""
    receipt: Receipt | None
    """The receipt, once reported."""


# ---- operators --------------------------------------------------------------------------------------


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
    """In words, what must happen next, e.g. "2 of 10 reported, 5 at work, closes 14:05:00 UTC"."""
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


class EnrolmentKeyRequest(Message):
    """An operator makes an enrolment key for a task."""

    expires_in_seconds: float | None = Field(default=None, gt=0, le=10 * 366 * 86400)
    """Life of the key; null means until revoked."""


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

    name: str = Field(pattern=r"^[^\x00]{1,100}$")
    """Whose key it is."""
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
