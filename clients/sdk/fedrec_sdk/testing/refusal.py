"""Refusals of the fake, with the statuses of the real services."""

from fedrec_protocol.problems import TITLE, Problem, Slug

_STATUS = {
    Slug.UNAUTHENTICATED: 401,
    Slug.CREDENTIAL_EXPIRED: 401,
    Slug.SIGNATURE_REQUIRED: 401,
    Slug.SIGNATURE_INVALID: 401,
    Slug.VOUCHER_REQUIRED: 401,
    Slug.VOUCHER_INVALID: 401,
    Slug.FORBIDDEN: 403,
    Slug.NOT_FOUND: 404,
    Slug.UNKNOWN_ASSIGNMENT: 404,
    Slug.UNKNOWN_VERSION: 404,
    Slug.UNKNOWN_ALIAS: 404,
    Slug.UNKNOWN_MODEL: 404,
    Slug.DEVICE_KEY_TAKEN: 409,
    Slug.ROUND_CLOSED: 409,
    Slug.REPORT_CONFLICT: 409,
    Slug.STALE_BASE_VERSION: 409,
    Slug.ASSIGNMENT_EXPIRED: 410,
    Slug.NO_SECURE_AGGREGATION: 404,
    Slug.PHASE_NOT_OPEN: 409,
    Slug.MESSAGE_CONFLICT: 409,
    Slug.PHASE_CLOSED: 410,
    Slug.UNSUPPORTED_MEDIA_TYPE: 415,
    Slug.DIGEST_REQUIRED: 400,
    Slug.DIGEST_MISMATCH: 400,
    Slug.RANGE_NOT_SATISFIABLE: 416,
    Slug.RATE_LIMITED: 429,
    Slug.INTERNAL_ERROR: 500,
    Slug.UNAVAILABLE: 503,
}
_SLUG_OF_STATUS = {403: Slug.FORBIDDEN, 429: Slug.RATE_LIMITED, 500: Slug.INTERNAL_ERROR}
_REPORT_REJECTED = 422


class Refused(Exception):
    """A request that is answered with a problem document."""

    def __init__(self, slug: Slug, detail: str = "", status: int | None = None) -> None:
        super().__init__(slug, detail)
        status = status or _STATUS.get(slug, _REPORT_REJECTED)
        self.problem = Problem(type=f"/problems/{slug}", title=TITLE[slug], status=status, detail=detail, slug=slug)


def refused_with_status(status: int) -> Refused:
    """A refusal of this status, made up by a fault."""
    return Refused(_SLUG_OF_STATUS.get(status, Slug.UNAVAILABLE), "a fault of the fake", status)
