"""The one table from domain errors to HTTP statuses."""

from services.model_registry.domain import errors

STATUS: dict[type[Exception], int] = {
    errors.Unauthenticated: 401,
    errors.CredentialExpired: 401,
    errors.Forbidden: 403,
    errors.UnknownModel: 404,
    errors.ModelExists: 409,
    errors.UnknownVersion: 404,
    errors.UnknownWeights: 404,
    errors.WeightsDeleted: 410,
    errors.UnknownAlias: 404,
    errors.UnknownCatalogue: 404,
    errors.UnknownItem: 404,
    errors.CatalogueConflict: 409,
    errors.CatalogueFull: 409,
    errors.UnknownKey: 404,
    errors.VersionConflict: 409,
    errors.GateFailed: 409,
    errors.NothingToRollBack: 409,
    errors.UnsupportedMediaType: 415,
    errors.LengthRequired: 411,
    errors.BodyTooLarge: 413,
    errors.BodyTimeout: 408,
    errors.BodyIncomplete: 400,
    errors.DigestMismatch: 400,
    errors.MalformedWeights: 422,
    errors.RangeNotSatisfiable: 416,
    errors.Overloaded: 503,
    errors.RateLimited: 429,
    errors.Unavailable: 503,
}
