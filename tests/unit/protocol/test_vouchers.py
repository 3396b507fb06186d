"""Which keys may say who is a person, and how a device's key is named to them."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import ValidationError

from fedrec_protocol.base import reasons
from fedrec_protocol.thumbprint import thumbprint
from fedrec_protocol.vouchers import Vouchers
from tests.issuers import Issuer

PUBLIC = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "a"}


def demand(*keys: Any, **changes: Any) -> Vouchers:
    said = {"issuer": "https://login.example", "audience": "films", "keys": {"keys": list(keys)}, "bound": True}
    return Vouchers.model_validate(said | changes)


def test_the_thumbprint_of_a_key_is_that_of_rfc_8037() -> None:
    """Its appendix A.3."""
    key = base64.urlsafe_b64decode(PUBLIC["x"] + "=")
    assert thumbprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_keys_are_taken_as_identity_providers_publish_them() -> None:
    issuers = [
        Issuer(kid="a"),
        Issuer(ec.generate_private_key(ec.SECP256R1()), kid="b"),
        Issuer(rsa.generate_private_key(65537, 2048), kid="c"),
    ]
    keys = [issuer.jwk | {"x5c": ["a certificate"], "x5t": "its digest"} for issuer in issuers]
    assert [key.kty for key in demand(*keys).keys.keys] == ["OKP", "EC", "RSA"]


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ({"kty": "oct", "k": "TOLD", "kid": "a"}, "private or symmetric"),
        ({"kty": "oct", "kid": "a"}, "private or symmetric"),
        (PUBLIC | {"d": "TOLD"}, "private or symmetric"),
        ({"kty": "RSA", "n": "TOLD", "e": "AQAB", "kid": "a", "qi": "TOLD"}, "private or symmetric"),
        ({"kty": "RSA", "n": "_" * 171, "e": "AQAB", "kid": "a"}, "n: String should match"),
        ({"kty": "RSA", "n": "A" + "_" * 341, "e": "AQAB", "kid": "a"}, "2048 bits"),
        ({"kty": "RSA", "n": "_" * 342, "e": "_" * 342, "kid": "a"}, "e: String should match"),
        (PUBLIC | {"use": "enc"}, "use: Input should be 'sig'"),
        (PUBLIC | {"alg": "HS256"}, "alg: Input should be"),
        (PUBLIC | {"alg": "none"}, "alg: Input should be"),
        (PUBLIC | {"crv": "X25519"}, "crv: Input should be"),
        ({name: value for name, value in PUBLIC.items() if name != "kid"}, "kid: Field required"),
        (PUBLIC | {"kid": "a\0"}, "kid: String should match"),
        (["TOLD"], "valid dictionary"),
    ],
    ids=str,
)
def test_a_key_that_cannot_vouch_is_refused_with_the_reason_and_without_the_key(key: Any, why: str) -> None:
    with pytest.raises(ValidationError) as refused:
        demand(key)
    assert why in reasons(refused.value)
    assert "TOLD" not in reasons(refused.value)


@pytest.mark.parametrize("keys", [[], [PUBLIC, PUBLIC], [PUBLIC | {"kid": str(number)} for number in range(17)]])
def test_one_to_sixteen_keys_are_told_apart_by_their_names(keys: list[Any]) -> None:
    with pytest.raises(ValidationError):
        demand(*keys)


@pytest.mark.parametrize("change", [{"issuer": ""}, {"audience": "x" * 256}, {"issuer": "a\nb"}, {"bound": None}])
def test_names_are_short_and_whether_vouchers_are_bound_is_said(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        demand(PUBLIC, **change)
