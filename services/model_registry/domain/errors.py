"""What the registry refuses, in domain words; `api/problems.py` maps each to HTTP."""

from collections.abc import Mapping

from fedrec_protocol.problems import Slug


class RegistryError(Exception):
    """Base of everything the registry refuses."""

    slug: Slug
    retry_after_seconds: float | None = None
    headers: Mapping[str, str] = {}


class Unauthenticated(RegistryError):
    """No credential, or one that is not known."""

    slug = Slug.UNAUTHENTICATED
    headers = {"WWW-Authenticate": "Bearer"}


class CredentialExpired(RegistryError):
    """The credential was valid once."""

    slug = Slug.CREDENTIAL_EXPIRED
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class Forbidden(RegistryError):
    """The credential is known, and may not do this."""

    slug = Slug.FORBIDDEN


class UnknownModel(RegistryError):
    """There is no such model, or it is not the caller's: the two are not told apart."""

    slug = Slug.UNKNOWN_MODEL


class ModelExists(RegistryError):
    """A model of this name exists."""

    slug = Slug.MODEL_EXISTS


class UnknownVersion(RegistryError):
    """There is no such version, or it is not the caller's: the two are not told apart."""

    slug = Slug.UNKNOWN_VERSION


class UnknownWeights(RegistryError):
    """A version was to be made of weights that were never uploaded."""

    slug = Slug.UNKNOWN_WEIGHTS


class WeightsDeleted(RegistryError):
    """The version's weights were deleted, since nobody had used them for long."""

    slug = Slug.WEIGHTS_DELETED


class UnknownAlias(RegistryError):
    """The alias was never set."""

    slug = Slug.UNKNOWN_ALIAS


class UnknownCatalogue(RegistryError):
    """The model has no catalogue."""

    slug = Slug.UNKNOWN_CATALOGUE


class UnknownItem(RegistryError):
    """The catalogue has no such item."""

    slug = Slug.UNKNOWN_ITEM


class CatalogueConflict(RegistryError):
    """The catalogue has another capacity."""

    slug = Slug.CATALOGUE_CONFLICT


class CatalogueFull(RegistryError):
    """There are more items than rows."""

    slug = Slug.CATALOGUE_FULL


class UnknownKey(RegistryError):
    """There is no such operator key."""

    slug = Slug.NOT_FOUND


class VersionConflict(RegistryError):
    """A round has one outcome; another was published before."""

    slug = Slug.VERSION_CONFLICT


class GateFailed(RegistryError):
    """The candidate is not good enough, or not known to be."""

    slug = Slug.GATE_FAILED


class NothingToRollBack(RegistryError):
    """The alias has named one version only."""

    slug = Slug.NOTHING_TO_ROLL_BACK


class UnsupportedMediaType(RegistryError):
    """Weights are an uncompressed safetensors file."""

    slug = Slug.UNSUPPORTED_MEDIA_TYPE


class LengthRequired(RegistryError):
    """Weights state their length first."""

    slug = Slug.LENGTH_REQUIRED


class BodyTooLarge(RegistryError):
    """This registry takes no weights of that size."""

    slug = Slug.BODY_TOO_LARGE


class BodyTimeout(RegistryError):
    """The body arrived too slowly."""

    slug = Slug.BODY_TIMEOUT


class BodyIncomplete(RegistryError):
    """The body ended early, or did not end where it should."""

    slug = Slug.BODY_INCOMPLETE


class DigestMismatch(RegistryError):
    """The body does not have the digest in its address."""

    slug = Slug.DIGEST_MISMATCH


class MalformedWeights(RegistryError):
    """The body is not well-formed safetensors."""

    slug = Slug.MALFORMED_TENSORS


class RangeNotSatisfiable(RegistryError):
    """The requested range lies outside the weights."""

    slug = Slug.RANGE_NOT_SATISFIABLE

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"the weights have {size_bytes} bytes")
        self.headers = {"Content-Range": f"bytes */{size_bytes}"}


class Overloaded(RegistryError):
    """There is no room for this request now."""

    slug = Slug.OVERLOADED
    retry_after_seconds = 2.0


class RateLimited(RegistryError):
    """Too many requests with one credential."""

    slug = Slug.RATE_LIMITED
    retry_after_seconds = 1.0

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(f"this credential is used too often: wait {retry_after_seconds:.1f} s")
        self.retry_after_seconds = retry_after_seconds


class Unavailable(RegistryError):
    """Something the registry needs is not there now; trying again later is safe."""

    slug = Slug.UNAVAILABLE
    retry_after_seconds = 2.0
