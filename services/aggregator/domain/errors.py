"""What the aggregator refuses, in domain words; `api/problems.py` maps each to HTTP."""

from fedrec_protocol.problems import Slug


class AggregatorError(Exception):
    """Base of everything the aggregator refuses."""

    slug: Slug
    retry_after_seconds: float | None = None


class Unauthenticated(AggregatorError):
    """No credential, or one that is not known."""

    slug = Slug.UNAUTHENTICATED
    headers = {"WWW-Authenticate": "Bearer"}


class CredentialExpired(AggregatorError):
    """The credential was valid once."""

    slug = Slug.CREDENTIAL_EXPIRED
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class DeviceKeyTaken(AggregatorError):
    """The key belongs to another client of the task."""

    slug = Slug.DEVICE_KEY_TAKEN


class VoucherRequired(AggregatorError):
    """The client can be had only with a voucher for its person."""

    slug = Slug.VOUCHER_REQUIRED
    headers = {"WWW-Authenticate": "Bearer"}


class VoucherInvalid(AggregatorError):
    """The voucher is not what the enrolment key demands."""

    slug = Slug.VOUCHER_INVALID
    headers = {"WWW-Authenticate": "Bearer"}


class InvalidVouchers(AggregatorError):
    """No voucher could be checked that way, or none is demanded."""

    slug = Slug.INVALID_REQUEST


class Forbidden(AggregatorError):
    """The credential is known, and may not do this."""

    slug = Slug.FORBIDDEN


class UnknownTask(AggregatorError):
    """There is no such task, or it is not yours."""

    slug = Slug.UNKNOWN_TASK


class TaskExists(AggregatorError):
    """A task of this name exists."""

    slug = Slug.TASK_EXISTS


class TaskNotActive(AggregatorError):
    """The task's state does not allow this."""

    slug = Slug.TASK_NOT_ACTIVE


class TaskNotOver(AggregatorError):
    """Only what is over can be deleted."""

    slug = Slug.TASK_NOT_OVER


class InvalidManifest(AggregatorError):
    """The manifest cannot be run."""

    slug = Slug.INVALID_MANIFEST


class NoPrivacy(AggregatorError):
    """The task promises no differential privacy, so it has no ledger."""

    slug = Slug.NO_PRIVACY


class UnknownRound(AggregatorError):
    """There is no such round."""

    slug = Slug.UNKNOWN_ROUND


class UnknownKey(AggregatorError):
    """There is no such key."""

    slug = Slug.NOT_FOUND


class UnknownAssignment(AggregatorError):
    """There is no such assignment, or it is somebody else's: the two are not told apart."""

    slug = Slug.UNKNOWN_ASSIGNMENT


class AssignmentExpired(AggregatorError):
    """The assignment's time is over; check in for a new one."""

    slug = Slug.ASSIGNMENT_EXPIRED


class RoundClosed(AggregatorError):
    """The round no longer collects reports; check in for a new assignment."""

    slug = Slug.ROUND_CLOSED


class StaleBaseVersion(AggregatorError):
    """The report was trained from another model version than the assignment's."""

    slug = Slug.STALE_BASE_VERSION


class ReportConflict(AggregatorError):
    """A different report was already accepted for this assignment."""

    slug = Slug.REPORT_CONFLICT


class NoSecureAggregation(AggregatorError):
    """The round's reports are not masked, so it has no phases."""

    slug = Slug.NO_SECURE_AGGREGATION


class NoHomomorphicEncryption(AggregatorError):
    """The round's reports are not encrypted, so there is nothing to decrypt."""

    slug = Slug.NO_HOMOMORPHIC_ENCRYPTION


class PhaseNotOpen(AggregatorError):
    """The message belongs to a later phase of the round."""

    slug = Slug.PHASE_NOT_OPEN


class PhaseClosed(AggregatorError):
    """The phase is over, or this participant is no longer part of the round; check in for a new assignment."""

    slug = Slug.PHASE_CLOSED


class MessageConflict(AggregatorError):
    """A different message was already accepted from this participant in this phase."""

    slug = Slug.MESSAGE_CONFLICT


class MessageRejected(AggregatorError):
    """A key, a signature or a length of the message is wrong."""

    slug = Slug.MESSAGE_REJECTED


class UnsupportedMediaType(AggregatorError):
    """A report is an uncompressed safetensors file."""

    slug = Slug.UNSUPPORTED_MEDIA_TYPE


class LengthRequired(AggregatorError):
    """A report states its length first."""

    slug = Slug.LENGTH_REQUIRED


class BodyTooLarge(AggregatorError):
    """No report of this round is that large."""

    slug = Slug.BODY_TOO_LARGE


class BodyTimeout(AggregatorError):
    """The body arrived too slowly."""

    slug = Slug.BODY_TIMEOUT


class BodyIncomplete(AggregatorError):
    """The body ended early, or did not end where it should."""

    slug = Slug.BODY_INCOMPLETE


class DigestRequired(AggregatorError):
    """A report states its digest first."""

    slug = Slug.DIGEST_REQUIRED


class DigestMismatch(AggregatorError):
    """The body does not have the announced digest."""

    slug = Slug.DIGEST_MISMATCH


class ReportRejected(AggregatorError):
    """The report does not hold what the manifest asks for.

    Attributes:
        slug: which of the report problems it is.
    """

    def __init__(self, slug: Slug, detail: str) -> None:
        super().__init__(detail)
        self.slug = slug


class Overloaded(AggregatorError):
    """There is no room for this request now."""

    slug = Slug.OVERLOADED
    retry_after_seconds = 2.0


class RateLimited(AggregatorError):
    """Too many requests with one credential."""

    slug = Slug.RATE_LIMITED
    retry_after_seconds = 1.0

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(f"this credential is used too often: wait {retry_after_seconds:.1f} s")
        self.retry_after_seconds = retry_after_seconds


class Unavailable(AggregatorError):
    """Something the aggregator needs is not there now; trying again later is safe."""

    slug = Slug.UNAVAILABLE
    retry_after_seconds = 2.0


class RegistryRefused(Unavailable):
    """The model registry refused, and would again: an operator has to put something right."""
