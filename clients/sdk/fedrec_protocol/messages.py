"""What participants ask of the aggregator and are told by it, as JSON; and the states of tasks and rounds."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, WrapValidator

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


class EnrolmentRequest(Message):
    """A device asks to take part in a task; sent with the task's enrolment key."""

    model_config = ConfigDict(hide_input_in_errors=True)  # a voucher says who somebody is

    public_key: str = Field(pattern=r"^[A-Za-z0-9_-]{43}$", examples=["11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"])
    """The device's Ed25519 public key: 32 raw bytes, base64url without padding."""
    voucher: str | None = Field(default=None, max_length=8192, repr=False)
    """Where the enrolment key demands it: a JWT by which the app's backend or identity provider says who this is."""


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
