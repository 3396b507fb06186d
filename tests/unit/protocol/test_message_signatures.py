"""Signed requests, against the RFC's own example and one change at a time."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from fedrec_protocol.digest import content_digest
from fedrec_protocol.message_signatures import SignatureInvalid, SignedRequest, sign, signature_base, verify

# RFC 9421, appendices B.1.4 and B.2.6.
RFC_KEY = "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF"
RFC_PARAMETERS = (
    '("date" "@method" "@path" "@authority" "content-type" "content-length")'
    ';created=1618884473;keyid="test-key-ed25519"'
)
RFC_VALUES = [
    ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
    ("@method", "POST"),
    ("@path", "/foo"),
    ("@authority", "example.com"),
    ("content-type", "application/json"),
    ("content-length", "18"),
]
RFC_SIGNATURE = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
NOW = 1_700_000_000
REQUEST = SignedRequest("POST", "/v1/check-ins", content_digest(b"{}"))
SIGNED = sign(REQUEST, "cli_ada", NOW, KEY.sign)


def check(request: SignedRequest = REQUEST, **changes: Any) -> None:
    fields = SIGNED | {name: changes.pop(name) for name in list(changes) if name in SIGNED}
    options: dict[str, Any] = {"key_id": "cli_ada", "public_key": KEY.public_key().public_bytes_raw(), "now": NOW}
    verify(request, fields["Signature-Input"], fields["Signature"], **options | changes)


def test_the_base_of_the_rfcs_example_has_the_rfcs_signature() -> None:
    key = load_der_private_key(base64.b64decode(RFC_KEY), None)
    assert isinstance(key, Ed25519PrivateKey)
    signature = key.sign(signature_base(RFC_VALUES, RFC_PARAMETERS))
    assert base64.b64encode(signature).decode() == RFC_SIGNATURE


def test_the_fields_have_the_documented_form() -> None:
    assert SIGNED["Signature-Input"] == (
        'fedrec=("@method" "@path" "content-digest");created=1700000000;keyid="cli_ada";alg="ed25519"'
    )
    assert len(base64.b64decode(SIGNED["Signature"].removeprefix("fedrec=:").removesuffix(":"))) == 64


@pytest.mark.parametrize("late", [-30, 0, 330])
def test_a_request_is_accepted_within_the_window(late: int) -> None:
    check(now=float(NOW + late))


def test_a_request_without_a_body_leaves_the_digest_out() -> None:
    request = SignedRequest("GET", "/v1/task", None)
    fields = sign(request, "cli_ada", NOW, KEY.sign)
    assert "content-digest" not in fields["Signature-Input"]
    check(request, **fields)


def test_a_query_is_covered_with_its_question_mark() -> None:
    request = SignedRequest("GET", "/path", None, "param=value&foo=bar&baz=batman")
    fields = sign(request, "cli_ada", NOW, KEY.sign)
    assert '("@method" "@path" "@query");' in fields["Signature-Input"]
    # RFC 9421, section 2.2.7: the component's value for this request.
    assert b'\n"@query": ?param=value&foo=bar&baz=batman\n' in request.base("()")
    check(request, **fields)
    for changed in (replace(request, query=""), replace(request, query="param=value")):
        with pytest.raises(SignatureInvalid):
            check(changed, **fields)


OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
INPUT, SIGNATURE = SIGNED["Signature-Input"], SIGNED["Signature"]
WRONG: dict[str, tuple[SignedRequest, dict[str, Any]]] = {
    "another method": (replace(REQUEST, method="PUT"), {}),
    "another path": (replace(REQUEST, path="/v1/check-ins/"), {}),
    "another body": (replace(REQUEST, content_digest=content_digest(b"[]")), {}),
    "a body that is not covered": (REQUEST, sign(replace(REQUEST, content_digest=None), "cli_ada", NOW, KEY.sign)),
    "no body though one is covered": (replace(REQUEST, content_digest=None), {}),
    "too old": (REQUEST, {"now": NOW + 331.0}),
    "from the future": (REQUEST, {"now": NOW - 31.0}),
    "another client's token": (REQUEST, {"key_id": "cli_eve"}),
    "another client's name": (REQUEST, sign(REQUEST, "cli_eve", NOW, KEY.sign)),
    "another key": (REQUEST, sign(REQUEST, "cli_ada", NOW, OTHER_KEY.sign)),
    "a younger date": (REQUEST, {"Signature-Input": INPUT.replace("1700000000", "1700000001")}),
    "no algorithm": (REQUEST, {"Signature-Input": INPUT.removesuffix(';alg="ed25519"')}),
    "another algorithm": (REQUEST, {"Signature-Input": INPUT.replace("ed25519", "hmac-sha256")}),
    "another order": (REQUEST, {"Signature-Input": INPUT.replace('"@method" "@path"', '"@path" "@method"')}),
    "two signatures": (REQUEST, {"Signature-Input": f"{INPUT}, {INPUT}"}),
    "another label": (REQUEST, {"Signature-Input": INPUT.replace("fedrec=", "sig1=")}),
    "a line break": (REQUEST, {"Signature-Input": INPUT + "\n"}),
    "no signature": (REQUEST, {"Signature": ""}),
    "a short signature": (REQUEST, {"Signature": "fedrec=:AAAA:"}),
    "a changed signature": (REQUEST, {"Signature": "fedrec=:" + "A" * 86 + "==:"}),
}


@pytest.mark.parametrize(("request_", "changes"), WRONG.values(), ids=WRONG.keys())
def test_whatever_is_not_what_was_signed_is_refused(request_: SignedRequest, changes: dict[str, Any]) -> None:
    with pytest.raises(SignatureInvalid):
        check(request_, **changes)
