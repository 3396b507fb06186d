"""The silos' secret key: one file, made once, and handed from silo to silo by a way that the operator does not see.

Whoever has the file can read every report of every silo. The operator must never have it.
"""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fedrec_protocol.encrypted.parameters import PARAMETERS, Scheme
from fedrec_sdk.errors import FedrecError
from fedrec_sdk.silo.library import context, seal

_FORMAT = b"fedrec silo key 1\n"
_LARGEST_FILE = 1 << 20


class BadSiloKey(FedrecError):
    """The file is not a silo key, or cannot be read."""


@dataclass(frozen=True)
class SiloKey:
    """A silo's copy of the secret key."""

    scheme: Scheme
    """The scheme it is for."""
    content: bytes = field(repr=False)
    """SEAL's own form of the secret key."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key, its scheme and its parameters, in hexadecimal; tells nothing of the key."""
        about = (_FORMAT, self.scheme.encode(), PARAMETERS.encode(), self.content)
        return hashlib.sha256(b"\n".join(about)).hexdigest()

    @property
    def tag_key(self) -> bytes:
        """The key of the tags that prove what an encrypted sum is of, 32 bytes."""
        return HKDF(SHA256(), 32, salt=None, info=b"fedrec silo tags").derive(self.content)

    def secret_key(self) -> Any:
        """The key as SEAL uses it.

        Raises:
            BadSiloKey: it is damaged.
            EncryptionUnavailable: TenSEAL is not installed.
        """
        key = seal().SecretKey()
        with TemporaryDirectory(prefix="fedrec-") as folder:  # only its owner can read it
            path = Path(folder) / "key"
            path.write_bytes(self.content)
            try:
                key.load(context(self.scheme), str(path))
            except (RuntimeError, ValueError, IndexError) as error:
                raise BadSiloKey(f"the silo key is damaged: {error}") from error
        return key


def make_silo_key(path: str | os.PathLike[str], scheme: Scheme = Scheme.CKKS) -> SiloKey:
    """Draw a new secret key and write it to a new file that only its owner can read.

    Raises:
        FileExistsError: there is a file; a key is never overwritten.
        EncryptionUnavailable: TenSEAL is not installed.
    """
    drawn = seal().KeyGenerator(context(scheme)).secret_key()
    with TemporaryDirectory(prefix="fedrec-") as folder:
        drawn.save(f"{folder}/key")
        content = Path(folder, "key").read_bytes()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(_FORMAT + scheme.encode() + b"\n" + content)
    return SiloKey(scheme, content)


def read_silo_key(path: str | os.PathLike[str]) -> SiloKey:
    """The key in a file that `make_silo_key` wrote.

    Raises:
        BadSiloKey: there is none, or it is something else.
    """
    try:
        stored = Path(path).read_bytes()
    except OSError as error:
        raise BadSiloKey(f"the silo key {os.fspath(path)!r} cannot be read: {error.strerror}") from error
    scheme, separator, content = stored.removeprefix(_FORMAT).partition(b"\n")
    if not stored.startswith(_FORMAT) or not separator or len(stored) > _LARGEST_FILE or scheme not in _SCHEMES:
        raise BadSiloKey(f"{os.fspath(path)!r} is not a silo key: make one with `fedrec privacy silo-key`")
    return SiloKey(_SCHEMES[scheme], content)


_SCHEMES = {scheme.encode(): scheme for scheme in Scheme}
