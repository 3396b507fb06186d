"""Encryption of everything that a single report could be read from, until its round closes.

Every round has its own random key. It is kept only wrapped by the deployment key, which is never in the
database; erasing the wrapped key when the round's sum has been taken leaves nothing in the database that
opens the round's sealed bytes. A backup or a write-ahead log of the meantime holds the wrapped key too: it is
opened by the deployment key, and by nothing else, until that is rotated away.
"""

import os
from collections.abc import Iterable, Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FORMAT = b"sum1"
_NONCE_BYTES = 12
_TAG_BYTES = 16
_KEY_BYTES = 32
_SEALED_BYTES = 1 << 20  # what homes of objects keep in one piece, so that nothing is cut and copied there
CHUNK_BYTES = _SEALED_BYTES - len(_FORMAT) - _NONCE_BYTES - _TAG_BYTES
_NONCE = slice(len(_FORMAT), len(_FORMAT) + _NONCE_BYTES)
_UNREADABLE = (InvalidTag, ValueError)  # a stump is too short even for a nonce


class SealBroken(Exception):
    """Sealed bytes were changed, or belong to something else, or the deployment key is another one."""


def new_round_key() -> bytes:
    """32 random bytes from the operating system."""
    return os.urandom(_KEY_BYTES)


def wrap(round_key: bytes, deployment_key: bytes, round_id: str) -> bytes:
    """The round's key as it may be stored: AES-256-GCM under the deployment key, bound to the round."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(deployment_key).encrypt(nonce, round_key, round_id.encode())


def unwrap(wrapped: bytes, deployment_keys: Iterable[bytes], round_id: str) -> bytes:
    """The round's key; older deployment keys are tried too, so that they can be rotated.

    Raises:
        SealBroken: no key fits.
    """
    for key in deployment_keys:
        try:
            return AESGCM(key).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], round_id.encode())
        except _UNREADABLE:
            continue
    raise SealBroken(f"no deployment key opens the key of round {round_id}")


def seal(plain: memoryview, round_key: bytes, name: str) -> Iterator[memoryview]:
    """Sealed chunks of up to `CHUNK_BYTES` plain bytes each, bound to `name`, their place and their number."""
    cipher = AESGCM(round_key)
    count = -(-len(plain) // CHUNK_BYTES)
    for index in range(count):
        nonce = os.urandom(_NONCE_BYTES)
        chunk = plain[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
        sealed = memoryview(bytearray(_NONCE.stop + len(chunk) + _TAG_BYTES))
        sealed[: _NONCE.stop] = _FORMAT + nonce
        cipher.encrypt_into(nonce, chunk, _FORMAT + _place(name, index, count), sealed[_NONCE.stop :])
        yield sealed


def unseal(chunks: Iterable[bytes], size_bytes: int, round_key: bytes, name: str) -> Iterator[bytes]:
    """The plain chunks again, in order; every one but the last holds a multiple of 8 bytes.

    Raises:
        SealBroken: changed, truncated, reordered or foreign bytes.
    """
    cipher = AESGCM(round_key)
    count = -(-size_bytes // CHUNK_BYTES)
    index = 0
    for index, sealed in enumerate(_regroup(chunks), start=1):
        try:
            # The format is bound like the place: one that was changed does not open.
            bound = sealed[: _NONCE.start] + _place(name, index - 1, count)
            yield cipher.decrypt(sealed[_NONCE], sealed[_NONCE.stop :], bound)
        except _UNREADABLE as error:
            raise SealBroken(f"chunk {index - 1} of {name} was changed") from error
    if index != count:
        raise SealBroken(f"{name} has {index} chunks, not {count}")


def seal_value(plain: bytes, round_key: bytes, name: str) -> bytes:
    """A value of up to `CHUNK_BYTES`, sealed in one piece and bound to `name`."""
    return b"".join(seal(memoryview(plain), round_key, name))


def open_value(sealed: bytes, round_key: bytes, name: str) -> bytes:
    """What `seal_value` sealed.

    Raises:
        SealBroken: changed or foreign bytes.
    """
    return b"".join(unseal([sealed], CHUNK_BYTES, round_key, name))  # one chunk, whatever its length


def _regroup(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Sealed chunks as they were written; object homes cut the bytes where they like."""
    waiting = bytearray()
    for chunk in chunks:
        if not waiting and len(chunk) == _SEALED_BYTES:
            yield chunk
            continue
        waiting += chunk
        while len(waiting) >= _SEALED_BYTES:
            yield bytes(waiting[:_SEALED_BYTES])
            del waiting[:_SEALED_BYTES]
    if waiting:
        yield bytes(waiting)


def _place(name: str, index: int, count: int) -> bytes:
    return f"{name}:{index}:{count}".encode()
