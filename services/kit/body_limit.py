"""Requests that are not meant to be large are refused when they are, or when they take too long."""

import asyncio
import re
from collections.abc import Mapping

from fastapi import FastAPI, HTTPException
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fedrec_protocol.problems import Slug
from services.kit.observation import request_id
from services.kit.problems import problem_response

MAXIMUM_JSON_BYTES = 1024 * 1024
MAXIMUM_JSON_SECONDS = 30.0


def install(app: FastAPI, *, except_for: str, at_most: Mapping[str, int] | None = None) -> None:
    """Bound every body but those of paths that match `except_for`, which keep bounds of their own.

    The framework's own limit answers in plain text; this one with a problem document.

    Args:
        app: The service.
        except_for: A regular expression.
        at_most: Fewer bytes than `MAXIMUM_JSON_BYTES`, by regular expressions of paths. Finding all that is wrong
            with a megabyte of JSON takes seconds, and strangers should not have them.
    """
    app.add_middleware(BodyLimit, except_for=except_for, at_most=at_most or {})


class BodyLimit:
    """Refuses a body by its announced length, and counts and times what arrives."""

    def __init__(
        self,
        app: ASGIApp,
        except_for: str,
        at_most: Mapping[str, int] | None = None,
        maximum_seconds: float = MAXIMUM_JSON_SECONDS,
    ) -> None:
        self.app = app
        self._exempt = re.compile(except_for)
        self._at_most = [(re.compile(paths), size) for paths, size in (at_most or {}).items()]
        self._maximum_seconds = maximum_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._exempt.search(scope["path"]):
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        maximum = next((size for paths, size in self._at_most if paths.search(path)), MAXIMUM_JSON_BYTES)
        length = Headers(scope=scope).get("content-length", "0")
        if length.isdigit() and (len(length) > 18 or int(length) > maximum):
            refusal = problem_response(
                413,
                Slug.BODY_TOO_LARGE,
                f"at most {maximum} bytes are read here",
                request_id=request_id(Request(scope)),
            )
            await refusal(scope, receive, send)
            return
        ends = asyncio.get_running_loop().time() + self._maximum_seconds
        received, is_complete = 0, False

        async def receive_bounded() -> Message:
            nonlocal received, is_complete
            if is_complete:  # whoever waits now waits for the client to leave
                return await receive()
            try:
                async with asyncio.timeout_at(ends):
                    message = await receive()
            except TimeoutError as error:
                raise HTTPException(408, f"send the body within {self._maximum_seconds:g} s") from error
            received += len(message.get("body", b""))
            is_complete = not message.get("more_body", False)
            if received > maximum:
                raise HTTPException(413, f"at most {maximum} bytes are read here")
            return message

        await self.app(scope, receive_bounded, send)
