"""Opaque ids: a short prefix that says what it names, and 130 random bits."""

import secrets

_LETTERS = b"abcdefghijklmnopqrstuvwxyz234567" * 8  # for every byte one; each as often as the others
_LENGTH = 26


def new_id(prefix: str) -> str:
    """A new id, e.g. `rnd_4k2v...`; lower-case base32 so that it survives any URL, file or case fold."""
    return new_ids(prefix, 1)[0]


def new_ids(prefix: str, count: int) -> list[str]:
    """Many at once, for which the operating system is asked once."""
    letters = secrets.token_bytes(count * _LENGTH).translate(_LETTERS).decode()
    return [f"{prefix}_{letters[start : start + _LENGTH]}" for start in range(0, len(letters), _LENGTH)]
