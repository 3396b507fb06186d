"""Signed requests: HTTP Message Signatures (RFC 9421) with a device's Ed25519 key, in the one form that is used here.

    Signature-Input: fedrec=("@method" "@path" "content-digest");created=1700000000;keyid="cli_...";alg="ed25519"
    Signature: fedrec=:<base64>:

The body is covered through its `Content-Digest` (RFC 9530); a request without a body leaves that component out.
A query is covered as `"@query"`, between path and digest, where there is one. Another order, other components or
parameters are refused, so that nothing is left to interpretation.
"""

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

WINDOW_SECONDS = 300
"""A signature is accepted for so long after it was created."""
LEEWAY_SECONDS = 30
"""Clocks may differ by so much."""

_INPUT = re.compile(
    r'fedrec=(\("@method" "@path"( "@query")?( "content-digest")?\)'
    r';created=(\d{1,12});keyid="([A-Za-z0-9_-]{1,100})";alg="ed25519")'
)
_SIGNATURE = re.compile(r"fedrec=:([A-Za-z0-9+/]{86}==):")


class SignatureInvalid(Exception):
    """The signature is malformed, does not cover what it has to, is too old, or is not of this key."""


@dataclass(frozen=True)
class SignedRequest:
    """What a signature covers."""

    method: str
    path: str
    """As it is on the wire, without the query."""
    content_digest: str | None
    """The field's value; None for a request without a body."""
    query: str = ""
    """As it is on the wire, without the question mark; empty where there is none."""

    def base(self, parameters: str) -> bytes:
        """The bytes that are signed (RFC 9421, section 2.5)."""
        values = [("@method", self.method), ("@path", self.path)]
        if self.query:
            values.append(("@query", f"?{self.query}"))
        if self.content_digest is not None:
            values.append(("content-digest", self.content_digest))
        return signature_base(values, parameters)


def signature_base(values: Sequence[tuple[str, str]], parameters: str) -> bytes:
    """Components and their values, a line each, and the signature's parameters."""
    lines = [f'"{name}": {value}' for name, value in values]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode()


def sign(request: SignedRequest, key_id: str, created: int, signer: Callable[[bytes], bytes]) -> dict[str, str]:
    """The two header fields.

    Args:
        request: What is signed.
        key_id: The client id.
        created: Now, in seconds since the epoch.
        signer: Makes an Ed25519 signature.
    """
    covered = '"@method" "@path"'
    covered += ' "@query"' if request.query else ""
    covered += "" if request.content_digest is None else ' "content-digest"'
    parameters = f'({covered});created={created};keyid="{key_id}";alg="ed25519"'
    signature = base64.b64encode(signer(request.base(parameters))).decode()
    return {"Signature-Input": f"fedrec={parameters}", "Signature": f"fedrec=:{signature}:"}


def verify(
    request: SignedRequest, signature_input: str, signature: str, *, key_id: str, public_key: bytes, now: float
) -> None:
    """Check the two header fields.

    Args:
        request: What arrived.
        signature_input: The field.
        signature: The field.
        key_id: The client whose request it is said to be.
        public_key: The client's Ed25519 key, 32 bytes.
        now: Seconds since the epoch.

    Raises:
        SignatureInvalid: in words for who sent it.
    """
    claimed, value = _INPUT.fullmatch(signature_input), _SIGNATURE.fullmatch(signature)
    if claimed is None or value is None:
        raise SignatureInvalid("Signature-Input or Signature does not have the documented form")
    parameters, covers_query, covers_body, created, claimed_id = claimed.groups()
    if (covers_query is None) != (not request.query):
        raise SignatureInvalid("the signature covers @query exactly when the request has a query")
    if (covers_body is None) != (request.content_digest is None):
        raise SignatureInvalid("the signature covers content-digest exactly when the request has a body")
    if claimed_id != key_id:
        raise SignatureInvalid("keyid is not the client that the access token is for")
    if not -LEEWAY_SECONDS <= now - int(created) <= WINDOW_SECONDS + LEEWAY_SECONDS:
        raise SignatureInvalid(f"created must be within the last {WINDOW_SECONDS} seconds")
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(base64.b64decode(value[1]), request.base(parameters))
    except InvalidSignature as error:
        raise SignatureInvalid("the signature is not of this device's key, or not of this request") from error
