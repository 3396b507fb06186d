"""Requests that are not meant to be large are refused when they are."""

import re

from fastapi import FastAPI, HTTPException
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fedrec_protocol.problems import Slug
from services.kit.observation import request_id
from services.kit.problems import problem_response

MAXIMUM_JSON_BYTES = 1024 * 1024


def install(app: FastAPI, *, except_for: str) -> None:
    """Bound every body but those of paths that match `except_for`, which keep bounds of their own.

    The framework's own limit answers in plain text; this one with a problem document.
    """
    app.add_middleware(BodyLimit, except_for=except_for)


class BodyLimit:
    """Refuses a body by its announced length, and counts one that has none."""

    def __init__(self, app: ASGIApp, except_for: str) -> None:
        self.app = app
        self._exempt = re.compile(except_for)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._exempt.search(scope["path"]):
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        if length.isdigit() and (len(length) > 18 or int(length) > MAXIMUM_JSON_BYTES):
            refusal = problem_response(
                413,
                Slug.BODY_TOO_LARGE,
                f"at most {MAXIMUM_JSON_BYTES} bytes are read here",
                request_id=request_id(Request(scope)),
            )
            await refusal(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAXIMUM_JSON_BYTES:
                raise HTTPException(413, f"at most {MAXIMUM_JSON_BYTES} bytes are read here")
            return message

        await self.app(scope, receive_counted, send)
