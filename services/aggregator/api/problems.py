"""The one table from domain errors to HTTP statuses."""

from services.aggregator.domain import errors

STATUS: dict[type[Exception], int] = {
    errors.Unauthenticated: 401,
    errors.CredentialExpired: 401,
    errors.Forbidden: 403,
    errors.UnknownTask: 404,
    errors.TaskExists: 409,
    errors.TaskNotActive: 409,
    errors.InvalidManifest: 422,
    errors.NoPrivacy: 404,
    errors.UnknownRound: 404,
    errors.UnknownKey: 404,
    errors.UnknownAssignment: 404,
    errors.AssignmentExpired: 410,
    errors.RoundClosed: 409,
    errors.StaleBaseVersion: 409,
    errors.ReportConflict: 409,
    errors.UnsupportedMediaType: 415,
    errors.LengthRequired: 411,
    errors.BodyTooLarge: 413,
    errors.BodyTimeout: 408,
    errors.BodyIncomplete: 400,
    errors.DigestRequired: 400,
    errors.DigestMismatch: 400,
    errors.ReportRejected: 422,
    errors.Overloaded: 503,
    errors.RateLimited: 429,
    errors.Unavailable: 503,
}
