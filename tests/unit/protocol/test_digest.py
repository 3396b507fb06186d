"""Content-Digest fields."""

from __future__ import annotations

import base64
import hashlib

import pytest

from fedrec_protocol.digest import content_digest, parse_content_digest

# RFC 9530, appendix B.1: the digest of {"hello": "world"} and a line feed.
RFC_BODY = b'{"hello": "world"}\n'
RFC_FIELD = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"


def test_the_example_of_the_standard() -> None:
    assert content_digest(RFC_BODY) == RFC_FIELD
    assert parse_content_digest(RFC_FIELD) == hashlib.sha256(RFC_BODY).digest()


@pytest.mark.parametrize(
    "field", [f"sha-512=:{'A' * 86}==:, {RFC_FIELD}", f"{RFC_FIELD}, md5=:AAAA:", f"md5=:AAAA:,{RFC_FIELD},x=:AA==:"]
)
def test_other_algorithms_beside_it_are_ignored(field: str) -> None:
    assert parse_content_digest(field) == hashlib.sha256(RFC_BODY).digest()


@pytest.mark.parametrize(
    "field",
    [
        "",
        "sha-256",
        "sha-256=",
        "sha-256=::",
        "sha-256=:RK/0qy18:",  # too short
        f"sha-256=:{base64.b64encode(bytes(33)).decode()}:",  # too long
        "sha-256=:====:",
        "sha-256=:RK_0qy18MlBSVnWgjwz6lZEWjP_lF5HF9bvEF8FabDg=:",  # base64url
        RFC_FIELD.replace(":", ""),
        RFC_FIELD.upper(),
        "x" + RFC_FIELD,
        hashlib.sha256(RFC_BODY).hexdigest(),
    ],
)
def test_anything_else_is_no_digest(field: str) -> None:
    assert parse_content_digest(field) is None
