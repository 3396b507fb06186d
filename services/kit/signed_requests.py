"""Requests of participants that their device has signed: checked where they are, demanded where the token says so.

An access token that was stolen is then of no use without the device's key, which the token names.
"""

import hashlib
import re
from datetime import datetime

from fastapi import FastAPI, HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fedrec_protocol.digest import format_digest, parse_content_digest
from fedrec_protocol.message_signatures import SignatureInvalid, SignedRequest, verify
from fedrec_protocol.problems import Slug
from services.kit.access_tokens import Participant
from services.kit.headers import first_header


class SignatureRefused(Exception):
    """A request that may come from somebody who stole a token; which problem it is, and in words."""

    def __init__(self, slug: Slug, detail: str) -> None:
        super().__init__(detail)
        self.slug = slug


def verify_signature(request: HTTPConnection, participant: Participant, now: datetime, *, is_required: bool) -> None:
    """Check the signature of a request whose access token was checked.

    Raises:
        SignatureRefused: it has none, though it must; it is not of this request, or not of the device's key; or the
            token, which an older release has issued, does not say what key that is.
    """
    signature_input = first_header(request, b"signature-input")
    if signature_input is None:
        if is_required:
            raise SignatureRefused(Slug.SIGNATURE_REQUIRED, "sign the request with the device's key")
        return
    if participant.device_key is None:
        detail = "get a new access token: this one names no key to check signatures with"
        raise SignatureRefused(Slug.CREDENTIAL_EXPIRED, detail)
    try:
        verify(
            _as_signed(request),
            signature_input,
            first_header(request, b"signature") or "",
            key_id=participant.client_id,
            public_key=participant.device_key,
            now=now.timestamp(),
        )
    except SignatureInvalid as error:
        raise SignatureRefused(Slug.SIGNATURE_INVALID, str(error)) from error


def _as_signed(request: HTTPConnection) -> SignedRequest:
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    digest = request.headers.get("content-digest")
    if has_body and digest is None:
        raise SignatureInvalid("a signed request with a body has a Content-Digest")
    path = request.scope.get("raw_path", request.url.path.encode()).decode("latin-1")
    query = request.scope["query_string"].decode("latin-1")
    return SignedRequest(request.scope["method"], path, digest, query)


def check_bodies(app: FastAPI, *, except_for: str) -> None:
    """Let `app` refuse bodies that are not the announced ones (`Content-Digest`), which is what a signature covers.

    Args:
        app: The service.
        except_for: Paths, as a regular expression, of routes that do so for themselves.
    """
    app.add_middleware(_CheckedBodies, except_for=re.compile(except_for))


class _CheckedBodies:
    def __init__(self, app: ASGIApp, except_for: re.Pattern[str]) -> None:
        self.app = app
        self._except_for = except_for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._except_for.search(scope["path"]) is None:
            digest = HTTPConnection(scope).headers.get("content-digest")
            if digest is not None:
                receive = _checked(receive, digest)
        await self.app(scope, receive, send)


def _checked(receive: Receive, digest: str) -> Receive:
    """Hash the body on its way; whoever reads it to its end learns that it is not the announced one."""
    expected, seen = parse_content_digest(digest), hashlib.sha256()

    async def receive_and_hash() -> Message:
        message = await receive()
        if message["type"] == "http.request":
            seen.update(message.get("body", b""))
            if not message.get("more_body", False) and seen.digest() != expected:
                raise HTTPException(400, f"the body's digest is {format_digest(seen.digest())}, not the announced one")
        return message

    return receive_and_hash
