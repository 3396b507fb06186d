"""The keys with which the aggregator signs in secure rounds, derived from the deployment key."""

from functools import lru_cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fedrec_protocol.secagg.messages import DeviceCertificate


def server_key(deployment_key: bytes) -> Ed25519PrivateKey:
    """Signs descriptors, rosters and survivors."""
    return _derived(deployment_key, b"fedrec secure rounds v1")


def registry_key(deployment_key: bytes) -> Ed25519PrivateKey:
    """Signs that a device key belongs to an enrolled device: this aggregator is the device registry."""
    return _derived(deployment_key, b"fedrec device registry v1")


def public(key: Ed25519PrivateKey) -> bytes:
    """The 32 raw bytes of the public half."""
    return key.public_key().public_bytes_raw()


def certificate(client_id: str, device_key: bytes, deployment_key: bytes) -> DeviceCertificate:
    """The registry's word for an enrolled device."""
    unsigned = DeviceCertificate(client_id=client_id, device_key=device_key, signature=bytes(64))
    return unsigned.model_copy(update={"signature": registry_key(deployment_key).sign(unsigned.payload())})


@lru_cache(maxsize=8)
def _derived(deployment_key: bytes, purpose: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(
        HKDF(hashes.SHA256(), 32, salt=None, info=purpose).derive(deployment_key)
    )
