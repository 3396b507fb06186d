"""Opaque ids: a short prefix that says what it names, and 128 random bits."""

import base64
import secrets


def new_id(prefix: str) -> str:
    """A new id, e.g. `rnd_4k2v...`; lower-case base32 so that it survives any URL, file or case fold."""
    return f"{prefix}_{base64.b32encode(secrets.token_bytes(16)).decode().rstrip('=').lower()}"
