"""Problem slugs (RFC 9457): stable names for everything a server refuses.

A slug never changes meaning. The type URI is `/problems/<slug>`; every service serves that page.
"""

from enum import StrEnum

from pydantic import ConfigDict

from fedrec_protocol.base import Response

PROBLEM_MEDIA_TYPE = "application/problem+json"


class Slug(StrEnum):
    """Every problem that a fedrec service answers with; the remark is the problem's title."""

    # who is asking
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    CREDENTIAL_EXPIRED = "credential-expired"
    SIGNATURE_REQUIRED = "signature-required"
    SIGNATURE_INVALID = "signature-invalid"
    DEVICE_KEY_TAKEN = "device-key-taken"
    VOUCHER_REQUIRED = "voucher-required"
    VOUCHER_INVALID = "voucher-invalid"
    # requests that cannot be read
    INVALID_REQUEST = "invalid-request"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    LENGTH_REQUIRED = "length-required"
    HEAD_TOO_LARGE = "head-too-large"
    HEAD_TIMEOUT = "head-timeout"
    BODY_TOO_LARGE = "body-too-large"
    BODY_TIMEOUT = "body-timeout"
    BODY_INCOMPLETE = "body-incomplete"
    DIGEST_REQUIRED = "digest-required"
    DIGEST_MISMATCH = "digest-mismatch"
    # tasks, rounds and assignments
    UNKNOWN_TASK = "unknown-task"
    TASK_NOT_ACTIVE = "task-not-active"
    TASK_NOT_OVER = "task-not-over"
    TASK_EXISTS = "task-exists"
    INVALID_MANIFEST = "invalid-manifest"
    NO_PRIVACY = "no-privacy"
    UNKNOWN_ROUND = "unknown-round"
    UNKNOWN_ASSIGNMENT = "unknown-assignment"
    ASSIGNMENT_EXPIRED = "assignment-expired"
    ROUND_CLOSED = "round-closed"
    STALE_BASE_VERSION = "stale-base-version"
    REPORT_CONFLICT = "report-conflict"
    # secure aggregation
    NO_SECURE_AGGREGATION = "no-secure-aggregation"
    SECURE_AGGREGATION_REQUIRED = "secure-aggregation-required"
    SECURE_ROUND_REFUSED = "secure-round-refused"
    PHASE_NOT_OPEN = "phase-not-open"
    PHASE_CLOSED = "phase-closed"
    MESSAGE_CONFLICT = "message-conflict"
    MESSAGE_REJECTED = "message-rejected"
    # homomorphic encryption
    NO_HOMOMORPHIC_ENCRYPTION = "no-homomorphic-encryption"
    SILO_KEY_REQUIRED = "silo-key-required"
    ENCRYPTED_SUM_REFUSED = "encrypted-sum-refused"
    # what is inside a report
    MALFORMED_TENSORS = "malformed-tensors"
    MISSING_TENSOR = "missing-tensor"
    UNEXPECTED_TENSOR = "unexpected-tensor"
    PRIVATE_TENSOR = "private-tensor"
    WRONG_SHAPE = "wrong-shape"
    WRONG_DTYPE = "wrong-dtype"
    NOT_FINITE = "not-finite"
    NORM_EXCEEDED = "norm-exceeded"
    EXAMPLES_OUT_OF_RANGE = "examples-out-of-range"
    METRICS_OUT_OF_RANGE = "metrics-out-of-range"
    # the registry
    UNKNOWN_MODEL = "unknown-model"
    MODEL_EXISTS = "model-exists"
    UNKNOWN_VERSION = "unknown-version"
    WEIGHTS_DELETED = "weights-deleted"
    UNKNOWN_WEIGHTS = "unknown-weights"
    UNKNOWN_ALIAS = "unknown-alias"
    VERSION_CONFLICT = "version-conflict"
    GATE_FAILED = "gate-failed"
    NOTHING_TO_ROLL_BACK = "nothing-to-roll-back"
    RANGE_NOT_SATISFIABLE = "range-not-satisfiable"
    UNKNOWN_CATALOGUE = "unknown-catalogue"
    UNKNOWN_ITEM = "unknown-item"
    CATALOGUE_CONFLICT = "catalogue-conflict"
    CATALOGUE_FULL = "catalogue-full"
    # load and faults
    RATE_LIMITED = "rate-limited"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"
    INTERNAL_ERROR = "internal-error"


TITLE: dict[Slug, str] = {
    Slug.UNAUTHENTICATED: "A valid credential is required",
    Slug.FORBIDDEN: "This credential may not do that",
    Slug.CREDENTIAL_EXPIRED: "The credential has expired; get a new one",
    Slug.SIGNATURE_REQUIRED: "Requests of this task's devices have to be signed",
    Slug.SIGNATURE_INVALID: "The request's signature does not hold",
    Slug.DEVICE_KEY_TAKEN: "Another client of the task has this device key",
    Slug.VOUCHER_REQUIRED: "Somebody has to vouch for the person who enrols",
    Slug.VOUCHER_INVALID: "The voucher does not hold",
    Slug.INVALID_REQUEST: "The request does not match the API description",
    Slug.NOT_FOUND: "There is nothing at this address",
    Slug.METHOD_NOT_ALLOWED: "This address does not answer that method",
    Slug.UNSUPPORTED_MEDIA_TYPE: "The body's media type or encoding is not accepted here",
    Slug.LENGTH_REQUIRED: "A Content-Length is required",
    Slug.HEAD_TOO_LARGE: "The request line and headers are too large",
    Slug.HEAD_TIMEOUT: "The request line and headers arrived too slowly",
    Slug.BODY_TOO_LARGE: "The body is larger than the manifest allows",
    Slug.BODY_TIMEOUT: "The body arrived too slowly",
    Slug.BODY_INCOMPLETE: "The body ended early",
    Slug.DIGEST_REQUIRED: "A Content-Digest with sha-256 is required (RFC 9530)",
    Slug.DIGEST_MISMATCH: "The body does not have the digest that was announced",
    Slug.UNKNOWN_TASK: "There is no such task",
    Slug.TASK_NOT_ACTIVE: "The task is not active",
    Slug.TASK_NOT_OVER: "The task is not over",
    Slug.TASK_EXISTS: "A task of this name exists",
    Slug.INVALID_MANIFEST: "The task manifest cannot be run",
    Slug.NO_PRIVACY: "The task promises no differential privacy",
    Slug.UNKNOWN_ROUND: "There is no such round",
    Slug.UNKNOWN_ASSIGNMENT: "You have no such assignment",
    Slug.ASSIGNMENT_EXPIRED: "The assignment has expired; check in again",
    Slug.ROUND_CLOSED: "The round no longer collects reports; check in again",
    Slug.STALE_BASE_VERSION: "The report was trained from another model version",
    Slug.REPORT_CONFLICT: "A different report was already accepted for this assignment",
    Slug.NO_SECURE_AGGREGATION: "The task does not use secure aggregation",
    Slug.SECURE_AGGREGATION_REQUIRED: "This device takes part under secure aggregation only",
    Slug.SECURE_ROUND_REFUSED: "This device will not answer: the secure round is not as agreed",
    Slug.PHASE_NOT_OPEN: "This phase of the round has not begun",
    Slug.PHASE_CLOSED: "This phase of the round is over, or went on without you; check in again",
    Slug.MESSAGE_CONFLICT: "A different message was already accepted in this phase",
    Slug.MESSAGE_REJECTED: "The message does not verify, or does not fit the round",
    Slug.NO_HOMOMORPHIC_ENCRYPTION: "The task's reports are not encrypted",
    Slug.SILO_KEY_REQUIRED: "This silo does not hold the key that the manifest names",
    Slug.ENCRYPTED_SUM_REFUSED: "This silo will not decrypt: the sum is not as agreed",
    Slug.MALFORMED_TENSORS: "The body is not well-formed safetensors",
    Slug.MISSING_TENSOR: "A tensor that the manifest names is missing",
    Slug.UNEXPECTED_TENSOR: "A tensor is not named by the manifest",
    Slug.PRIVATE_TENSOR: "A private tensor must never leave the device; nothing was kept",
    Slug.WRONG_SHAPE: "A tensor does not have the shape that the manifest states",
    Slug.WRONG_DTYPE: "A tensor does not have the element type that the manifest states",
    Slug.NOT_FINITE: "A tensor holds NaN or an infinity",
    Slug.NORM_EXCEEDED: "The update is longer than the manifest's maximum norm",
    Slug.EXAMPLES_OUT_OF_RANGE: "The number of examples is outside the manifest's range",
    Slug.METRICS_OUT_OF_RANGE: "A reported metric is not a possible sum over the evaluations",
    Slug.UNKNOWN_MODEL: "There is no such model",
    Slug.MODEL_EXISTS: "A model of this name exists",
    Slug.UNKNOWN_VERSION: "There is no such model version",
    Slug.WEIGHTS_DELETED: "The weights of this version were deleted",
    Slug.UNKNOWN_WEIGHTS: "No weights with this digest have been uploaded",
    Slug.UNKNOWN_ALIAS: "There is no such alias",
    Slug.VERSION_CONFLICT: "A different version was already published for this round",
    Slug.GATE_FAILED: "The promotion gate refused the candidate",
    Slug.NOTHING_TO_ROLL_BACK: "The alias has no earlier version to go back to",
    Slug.RANGE_NOT_SATISFIABLE: "The requested range lies outside the weights",
    Slug.UNKNOWN_CATALOGUE: "The model has no catalogue of items",
    Slug.UNKNOWN_ITEM: "The catalogue has no such item",
    Slug.CATALOGUE_CONFLICT: "The model's catalogue has another capacity, which cannot change",
    Slug.CATALOGUE_FULL: "The catalogue has no free row left",
    Slug.RATE_LIMITED: "Too many requests with this credential",
    Slug.OVERLOADED: "The service has no room for this request now",
    Slug.UNAVAILABLE: "The service cannot do this now",
    Slug.INTERNAL_ERROR: "The service failed; the failure was logged under this request id",
}


class Problem(Response):
    """A problem document (RFC 9457), sent as application/problem+json."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "/problems/round-closed",
                "title": TITLE[Slug.ROUND_CLOSED],
                "status": 409,
                "detail": "round 12 reached its aggregation goal",
                "slug": "round-closed",
            }
        }
    )

    type: str
    """URI of the page that explains the problem: /problems/<slug>."""
    title: str
    """What the problem is, the same words every time."""
    status: int
    """The HTTP status, repeated."""
    detail: str = ""
    """What was wrong with this request, and what to do."""
    slug: str
    """The stable name of the problem."""
    request_id: str | None = None
    """The id under which the service logged this request."""
