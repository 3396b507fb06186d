"""Which vouchers hold: made by the issuer, for this audience and device, now; whatever else is sent is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from fedrec_protocol.vouchers import Vouchers
from services.aggregator.domain.errors import InvalidVouchers, VoucherInvalid, VoucherRequired
from services.aggregator.domain.vouchers import Person, require_usable, vouched_for
from tests.issuers import Issuer, jkt, sign

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOW = NOON.timestamp()
DEVICE, OTHER_DEVICE = bytes(range(32)), bytes(32)
ED25519 = Issuer(kid="ed")
P256 = Issuer(ec.generate_private_key(ec.SECP256R1()), kid="ec")
RSA = Issuer(rsa.generate_private_key(65537, 2048), kid="rsa")
ALL = Vouchers.model_validate(ED25519.vouchers(P256, RSA))
BOUND = Vouchers.model_validate(ED25519.vouchers(P256, RSA, bound=True))
each_kind = pytest.mark.parametrize("issuer", [ED25519, P256, RSA], ids=lambda issuer: issuer.kid)


def checked(voucher: str | None, demanded: Vouchers | None = ALL) -> Person | None:
    return vouched_for(voucher, demanded, DEVICE, NOON)


@each_kind
def test_a_voucher_says_who_a_person_is(issuer: Issuer) -> None:
    assert checked(issuer.voucher("ada", NOW)) == Person("https://login.example", "ada")


@each_kind
def test_a_bound_voucher_is_for_one_device(issuer: Issuer) -> None:
    ours, theirs = ({"jkt": jkt(key)} for key in (DEVICE, OTHER_DEVICE))
    for demanded in (ALL, BOUND):
        assert checked(issuer.voucher("ada", NOW, cnf=ours), demanded) is not None
        for cnf in (theirs, {}, {"jkt": [jkt(DEVICE)]}, jkt(DEVICE), {"x5t#S256": "a certificate"}):
            with pytest.raises(VoucherInvalid, match="thumbprint"):
                checked(issuer.voucher("ada", NOW, cnf=cnf), demanded)
    with pytest.raises(VoucherInvalid, match="thumbprint"):
        checked(issuer.voucher("ada", NOW), BOUND)


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://evil.example"}, "`iss` or `aud`"),
        ({"iss": ["https://login.example"]}, "`iss` or `aud`"),
        ({"aud": "another app"}, "`iss` or `aud`"),
        ({"aud": ["another app"]}, "`iss` or `aud`"),
        ({"aud": {"films": 1}}, "`iss` or `aud`"),
        ({"iss": None}, "no JWT with"),
        ({"aud": None}, "no JWT with"),
        ({"sub": None}, "no JWT with"),
        ({"exp": None}, "no JWT with"),
        ({"sub": 7}, "no JWT with"),
        ({"sub": ["ada"]}, "no JWT with"),
        ({"sub": ""}, "`sub`"),
        ({"sub": "a" * 256}, "`sub`"),
        ({"exp": int(NOW) - 61}, "expired"),
        ({"exp": "later"}, "expired"),
        ({"exp": float("nan")}, "expired"),
        ({"exp": True}, "expired"),
        ({"exp": {}}, "expired"),
        ({"iat": int(NOW) + 61}, "not valid yet"),
        ({"nbf": int(NOW) + 61}, "not valid yet"),
        ({"nbf": 10**400}, "not valid yet"),
        ({"nbf": float("nan")}, "not valid yet"),
        ({"nbf": "now"}, "no number"),
    ],
    ids=str,
)
def test_a_voucher_that_is_for_something_else_or_not_for_now_is_refused(claims: dict[str, Any], why: str) -> None:
    with pytest.raises(VoucherInvalid, match=why):
        checked(ED25519.voucher("ada", NOW, **claims))


@pytest.mark.parametrize(
    "claims", [{"exp": int(NOW) - 59}, {"iat": int(NOW) + 59, "nbf": int(NOW) + 59}, {"iat": None}]
)
def test_clocks_may_differ_by_a_minute(claims: dict[str, Any]) -> None:
    assert checked(ED25519.voucher("ada", NOW, **claims)) is not None


def test_one_audience_of_several_is_enough() -> None:
    assert checked(ED25519.voucher("ada", NOW, aud=["mail", "films"])) is not None


def public_forms(issuer: Issuer) -> list[bytes]:
    """The public key in every form in which somebody may take it for a shared secret."""
    key, encoding, shape = issuer.key.public_key(), serialization.Encoding, serialization.PublicFormat
    return [
        key.public_bytes(encoding.PEM, shape.SubjectPublicKeyInfo),
        key.public_bytes(encoding.DER, shape.SubjectPublicKeyInfo),
        issuer.jwk["n" if issuer is RSA else "x"].encode(),
    ]


def mac(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """A JWT under HS256 by hand: a library refuses to use a public key as a secret."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    tag = hmac.digest(secret, b".".join(parts), hashlib.sha256)
    return b".".join([*parts, base64.urlsafe_b64encode(tag).rstrip(b"=")]).decode()


@each_kind
def test_a_public_key_is_no_shared_secret(issuer: Issuer) -> None:
    claims = issuer.claims("ada", NOW)
    for secret in (*public_forms(issuer), b""):
        for algorithm in ("HS256", issuer.algorithm, "none", "None", ""):
            with pytest.raises(VoucherInvalid):
                checked(mac({"alg": algorithm, "kid": issuer.kid, "typ": "JWT"}, claims, secret))


@each_kind
def test_an_unsigned_voucher_is_refused(issuer: Issuer) -> None:
    head, payload, _ = issuer.voucher("ada", NOW).split(".")
    with pytest.raises(VoucherInvalid):
        checked(f"{head}.{payload}.")
    with pytest.raises(VoucherInvalid):
        checked(sign(issuer.claims("ada", NOW), None, "none", {"kid": issuer.kid}))


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_a_key_signs_in_one_way(algorithm: str) -> None:
    with pytest.raises(VoucherInvalid):
        checked(sign(RSA.claims("ada", NOW), RSA.key, algorithm, {"kid": "rsa"}))


def test_only_the_key_that_is_named_counts_and_none_that_the_voucher_brings() -> None:
    stranger = Issuer(Ed25519PrivateKey.generate(), kid="ed")
    brought = {"jwk": stranger.jwk, "jku": "https://evil.example/keys", "x5u": "https://evil.example/x", "x5c": ["MII"]}
    for header in ({"kid": "ed"}, {"kid": "ed", **brought}, brought, {"kid": "ec"}, {"kid": "unknown"}, {}):
        with pytest.raises(VoucherInvalid):
            checked(stranger.voucher("ada", NOW, header=header))
    assert checked(ED25519.voucher("ada", NOW, header={"kid": "ed", **brought})) is not None


@pytest.mark.parametrize("header", [{"crit": ["exp"], "exp": 0}, {"crit": ["b64"], "b64": False}])
def test_what_a_voucher_calls_critical_has_to_be_understood(header: dict[str, Any]) -> None:
    voucher = ED25519.voucher("ada", NOW)
    _, payload, _ = voucher.split(".")
    head = json.dumps({"alg": "EdDSA", "kid": "ed", **header}).encode()
    signed = f"{base64.urlsafe_b64encode(head).decode().rstrip('=')}.{payload}"
    assert isinstance(ED25519.key, Ed25519PrivateKey)
    signature = base64.urlsafe_b64encode(ED25519.key.sign(signed.encode())).decode().rstrip("=")
    with pytest.raises(VoucherInvalid):
        checked(f"{signed}.{signature}")


def deep(levels: int) -> str:
    return base64.urlsafe_b64encode(b"[" * levels).decode().rstrip("=")


MANGLE: dict[str, st.SearchStrategy[Callable[[str], str]]] = {
    "one character": st.tuples(st.integers(0, 10**6), st.sampled_from("AZaz09-_.=+/\n \0é😀")).map(
        lambda change: lambda text: text[: change[0] % len(text)] + change[1] + text[change[0] % len(text) + 1 :]
    ),
    "cut off": st.integers(1, 10**6).map(lambda cut: lambda text: text[: -(cut % len(text) or 1)]),
    "something else": st.text(max_size=200).map(lambda text: lambda _: text),
    "another header": st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "zip"]),
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=9), st.lists(st.text(max_size=3))),
    ).map(
        lambda head: (
            lambda text: ".".join(
                [base64.urlsafe_b64encode(json.dumps(head).encode()).decode().rstrip("="), *text.split(".")[1:]]
            )
        )
    ),
    "deep": st.sampled_from([deep(3000), f"e30.{deep(2000)}.AA", "." * 8000, ".."]).map(lambda text: lambda _: text),
}


@each_kind
@given(mangle=st.one_of(*MANGLE.values()))
def test_a_mangled_voucher_is_refused_and_nothing_else(issuer: Issuer, mangle: Callable[[str], str]) -> None:
    voucher = WHOLE[issuer.kid]
    mangled = mangle(voucher)
    if signed_part(mangled) == signed_part(voucher):
        return  # the same bytes in other characters
    with pytest.raises(VoucherInvalid):
        checked(mangled)


WHOLE = {issuer.kid: issuer.voucher("ada", NOW) for issuer in (ED25519, P256, RSA)}


def signed_part(text: str) -> object:
    """What a signature speaks of, and the signature's bytes."""
    head, _, last = text.rpartition(".")
    try:
        return head, base64.b64decode(last + "=" * (-len(last) % 4), altchars="-_", validate=True)
    except ValueError:
        return text


def test_what_is_kept_of_a_person_tells_nothing_without_the_pepper_and_differs_between_tasks_and_issuers() -> None:
    pepper = b"p" * 32
    ada = Person("https://login.example", "ada")
    block = bytes(byte ^ 0x36 for byte in pepper.ljust(64, b"\0"))  # HMAC written out, RFC 2104
    outer = bytes(byte ^ 0x5C for byte in pepper.ljust(64, b"\0"))
    text = b'["person", "tsk_1", "https://login.example", "ada"]'
    expected = hashlib.sha256(outer + hashlib.sha256(block + text).digest()).digest()
    assert ada.hash(pepper, "tsk_1") == expected
    others = [ada.hash(b"q" * 32, "tsk_1"), ada.hash(pepper, "tsk_2"), Person("https://b", "ada").hash(pepper, "tsk_1")]
    others += [Person(ada.issuer, name).hash(pepper, "tsk_1") for name in ("Ada", 'ada"', "ada\0", "\ud800")]
    assert len({expected, *others}) == 8
    assert "ada" not in repr(ada)


def test_who_enrols_is_told_whether_a_voucher_is_wanted() -> None:
    with pytest.raises(VoucherRequired):
        checked(None)
    with pytest.raises(InvalidVouchers):
        checked(ED25519.voucher("ada", NOW), None)
    assert checked(None, None) is None


def test_a_key_that_is_no_point_of_its_curve_is_refused_by_name() -> None:
    no_point = P256.jwk | {"y": "A" * 43}
    with pytest.raises(InvalidVouchers, match="'ec'"):
        require_usable(Vouchers.model_validate(P256.vouchers() | {"keys": {"keys": [no_point]}}))
    require_usable(ALL)


def test_the_backend_of_the_documents_makes_vouchers_that_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    [backend] = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "def voucher" in block]
    monkeypatch.chdir(tmp_path)
    made: dict[str, Any] = {}
    exec(backend, made)
    keys = json.loads((tmp_path / "voucher-keys.json").read_text())
    demanded = Vouchers.model_validate(
        {"issuer": "https://app.example", "audience": "films", "keys": keys, "bound": True}
    )
    person = vouched_for(made["voucher"]("ada", jkt(DEVICE)), demanded, DEVICE, datetime.now(UTC))
    assert person == Person("https://app.example", "ada")
