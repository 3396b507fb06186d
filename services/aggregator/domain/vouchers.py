"""Whether a voucher holds, and who it says that a person is. Nothing of it is kept but a keyed hash of that."""

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import jwt

from fedrec_protocol.thumbprint import thumbprint
from fedrec_protocol.vouchers import VoucherKey, Vouchers
from services.aggregator.domain.errors import InvalidVouchers, VoucherInvalid, VoucherRequired

LEEWAY_SECONDS = 60
LONGEST_SUBJECT = 255
# By the kind of key and never by what a voucher says of itself: or a public key would be taken for a shared secret.
_ALGORITHM = {"OKP": "EdDSA", "EC": "ES256", "RSA": "RS256"}


@dataclass(frozen=True)
class Person:
    """Somebody whom an issuer of vouchers knows."""

    issuer: str
    """Who knows them."""
    subject: str = field(repr=False)
    """Who they are there."""

    def hash(self, pepper: bytes, task_id: str) -> bytes:
        """What is kept of them: HMAC-SHA256, 32 bytes, which tells nobody without `pepper` who that was.

        With the task in it, the hashes of one person in two tasks do not tell that it was one.
        """
        what = json.dumps(["person", task_id, self.issuer, self.subject])
        return hmac.digest(pepper, what.encode(), hashlib.sha256)


def require_usable(vouchers: Vouchers) -> None:
    """Pass keys with which signatures can be checked.

    Raises:
        InvalidVouchers: one is no point of its curve, or no RSA key.
    """
    for key in vouchers.keys.keys:
        try:
            _public_key(key)
        except (jwt.PyJWTError, ValueError) as error:
            raise InvalidVouchers(f"the key {key.kid!r} is no public key of type {key.kty}") from error


def vouched_for(voucher: str | None, demanded: Vouchers | None, public_key: bytes, now: datetime) -> Person | None:
    """Who a voucher says that somebody is, if it holds now; None where none is demanded, and there is none.

    Args:
        voucher: As it was sent.
        demanded: What the enrolment key demands.
        public_key: The device's Ed25519 key, 32 bytes.
        now: The time.

    Raises:
        VoucherRequired: there is none.
        VoucherInvalid: it does not hold.
        InvalidVouchers: none is demanded.
    """
    if demanded is None:
        if voucher is not None:
            raise InvalidVouchers("this enrolment key demands no voucher: send none, or use the key that does")
        return None
    if voucher is None:
        raise VoucherRequired("send a `voucher`, which the app's backend makes for the person who uses it")
    claims = _signed_claims(voucher, demanded)
    _require_now(claims, now)
    _require_device(claims, public_key, is_required=demanded.bound)
    if not 0 < len(claims["sub"]) <= LONGEST_SUBJECT:
        raise VoucherInvalid(f"`sub` has from 1 to {LONGEST_SUBJECT} characters")
    return Person(demanded.issuer, claims["sub"])


def _signed_claims(voucher: str, demanded: Vouchers) -> dict[str, Any]:
    try:
        key = {key.kid: key for key in demanded.keys.keys}[jwt.get_unverified_header(voucher)["kid"]]
        claims: dict[str, Any] = jwt.decode(
            voucher,
            _public_key(key),
            algorithms=[_ALGORITHM[key.kty]],
            audience=demanded.audience,
            issuer=demanded.issuer,
            options={
                "require": ["iss", "aud", "sub", "exp"],
                "verify_exp": False,  # these three by the deployment's clock, below
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except (jwt.InvalidIssuerError, jwt.InvalidAudienceError) as error:
        raise VoucherInvalid("its `iss` or `aud` is not the one that this enrolment key demands") from error
    except KeyError as error:
        raise VoucherInvalid("its header names no key (`kid`) that this enrolment key knows") from error
    except (jwt.PyJWTError, TypeError, ValueError) as error:
        raise VoucherInvalid(
            "it is no JWT with `iss`, `aud`, `sub` and `exp` that the key which it names has signed"
        ) from error
    return claims


def _require_now(claims: dict[str, Any], now: datetime) -> None:
    moment = now.timestamp()
    begins = [claims[name] for name in ("iat", "nbf") if name in claims]
    times = [claims["exp"], *begins]
    are_numbers = all(isinstance(time, int | float) for time in times)
    if not are_numbers or not moment <= claims["exp"] + LEEWAY_SECONDS:
        raise VoucherInvalid("it has expired, or `exp` is no number: get a new one")
    if not all(begin - LEEWAY_SECONDS <= moment for begin in begins):
        raise VoucherInvalid("it is not valid yet: compare the clocks of whoever made it and of this service")


def _require_device(claims: dict[str, Any], public_key: bytes, *, is_required: bool) -> None:
    if "cnf" not in claims and not is_required:
        return
    confirmation = claims.get("cnf")
    if not isinstance(confirmation, dict) or confirmation.get("jkt") != thumbprint(public_key):
        raise VoucherInvalid("`cnf.jkt` has to be the thumbprint (RFC 7638) of the device's public key")


def _public_key(key: VoucherKey) -> Any:
    return jwt.PyJWK(key.model_dump(exclude={"use", "alg"}), _ALGORITHM[key.kty]).key
