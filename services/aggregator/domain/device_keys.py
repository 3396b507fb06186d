"""Which access tokens speak for a device whose key may have been replaced."""

from services.aggregator.domain.errors import CredentialExpired


def require_current(bound_to: bytes | None, device_key: bytes) -> None:
    """Pass a token that is bound to the key that its device has now.

    Args:
        bound_to: The key that the token names; None for one that was issued before tokens named keys, and which
            ends within minutes of the upgrade.
        device_key: The device's key as it is.

    Raises:
        CredentialExpired: the key was replaced since.
    """
    if bound_to not in {None, device_key}:
        raise CredentialExpired("the device's key was replaced: get a new token with the new one")
