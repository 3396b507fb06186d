"""Everything that is derived from the deployment key."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.aggregator.settings import Settings
from services.kit import access_tokens


def deployment_keys(settings: Settings) -> tuple[bytes, ...]:
    """The deployment key, then the ones before it."""
    return (settings.deployment_key, *settings.previous_deployment_keys)


def signing_keys(settings: Settings) -> list[Ed25519PrivateKey]:
    """Token-signing keys: the first signs, all verify."""
    return [access_tokens.signing_key(key) for key in deployment_keys(settings)]
