"""What a device signs to get a token: of itself, for the aggregator, and for this moment."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.api_jws import PyJWS

from services.kit.access_tokens import TokenInvalid
from services.kit.device_assertions import verify_assertion

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOW = int(NOON.timestamp())
KEY = Ed25519PrivateKey.generate()


def verify(*, key: Ed25519PrivateKey = KEY, **changes: Any) -> None:
    claims = {"iss": "cli_1", "sub": "cli_1", "aud": "fedrec", "iat": NOW, "exp": NOW + 300} | changes
    assertion = PyJWS().encode(json.dumps(claims).encode(), key, algorithm="EdDSA")
    verify_assertion(assertion, "cli_1", KEY.public_key().public_bytes_raw(), NOON)


@pytest.mark.parametrize("changes", [{}, {"iat": NOW + 30}, {"iat": NOW - 330, "exp": NOW - 30}], ids=str)
def test_a_device_whose_clock_is_half_a_minute_off_gets_its_token(changes: dict[str, Any]) -> None:
    verify(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"iat": NOW + 31},
        {"iat": NOW - 331, "exp": NOW - 31},
        {"exp": NOW + 331},
        {"iss": "cli_2"},
        {"sub": "cli_2"},
        {"aud": "fedrec device key"},
        {"exp": 10**400},
        {"iat": -(10**400)},
        {"iat": float("nan")},
        {"exp": float("inf")},
        {"nbf": float("inf")},
        {"exp": "soon"},
        {"exp": None},
        {"iss": ["cli_1"]},
    ],
    ids=lambda changes: str(changes)[:30],
)
def test_an_assertion_of_another_moment_or_another_client_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TokenInvalid):
        verify(**changes)


def test_an_assertion_of_another_key_is_refused() -> None:
    with pytest.raises(TokenInvalid):
        verify(key=Ed25519PrivateKey.generate())
