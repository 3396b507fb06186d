"""Requests of participants that their device has signed: checked where they are, demanded where the settings say so.

An access token that was stolen is then of no use without the device's key.
"""

import asyncio
import hashlib
import re
from collections import OrderedDict

from fastapi import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fedrec_protocol.digest import format_digest, parse_content_digest
from fedrec_protocol.message_signatures import SignatureInvalid, SignedRequest, verify
from fedrec_protocol.problems import Slug
from services.aggregator.api.access import Access
from services.aggregator.storage import credentials
from services.kit.observation import request_id
from services.kit.problems import problem_response

_PARTICIPANTS = re.compile(r"/v1/(check-ins|task|assignments/.*)")
_CHECKS_ITS_BODY = re.compile(r"/v1/assignments/[^/]+/report")
_REMEMBERED_KEYS = 20_000


class SignedRequests:
    """Middleware: answers 401 for a signature that is wrong, or missing though it is required."""

    def __init__(self, app: ASGIApp, access: Access, *, are_required: bool) -> None:
        self.app = app
        self._access = access
        self._are_required = are_required
        self._keys: OrderedDict[str, bytes] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _PARTICIPANTS.fullmatch(scope["path"]) is None:
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        is_signed = "signature-input" in request.headers
        client_id = self._access.claimed_by(request)
        if client_id is None or not (is_signed or self._are_required):
            await self.app(scope, receive, send)  # which refuses whoever has no valid token
            return
        try:
            if not is_signed:
                await self._refuse(Slug.SIGNATURE_REQUIRED, "sign the request with the device's key", scope, send)
                return
            await self._verify(request, client_id)
        except SignatureInvalid as error:
            await self._refuse(Slug.SIGNATURE_INVALID, str(error), scope, send)
            return
        digest = request.headers.get("content-digest")
        if digest is not None and _CHECKS_ITS_BODY.fullmatch(scope["path"]) is None:
            receive = _checked(receive, digest)
        await self.app(scope, receive, send)

    async def _verify(self, request: Request, client_id: str) -> None:
        if request.url.query:
            raise SignatureInvalid("a signed request has no query")
        has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
        digest = request.headers.get("content-digest")
        if has_body and digest is None:
            raise SignatureInvalid("a signed request with a body has a Content-Digest")
        path = request.scope.get("raw_path", request.url.path.encode()).decode("latin-1")
        verify(
            SignedRequest(request.method, path, digest),
            request.headers["signature-input"],
            request.headers.get("signature", ""),
            key_id=client_id,
            public_key=await self._public_key(client_id),
            now=self._access.context.now().timestamp(),
        )

    async def _public_key(self, client_id: str) -> bytes:
        """A client's key, which never changes."""
        if client_id not in self._keys:
            db = self._access.context.db
            client = await asyncio.to_thread(db.run, "find_client", lambda tx: credentials.client(tx, client_id))
            if client is None:
                raise SignatureInvalid("there is no such client")
            self._keys[client_id] = client.public_key
            if len(self._keys) > _REMEMBERED_KEYS:
                self._keys.popitem(last=False)
        return self._keys[client_id]

    async def _refuse(self, slug: Slug, detail: str, scope: Scope, send: Send) -> None:
        answer = problem_response(401, slug, detail, request_id=request_id(Request(scope)))
        await answer(scope, _nothing, send)


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


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
