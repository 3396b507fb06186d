"""Refusals as problem documents (RFC 9457), for every error in the same way.

A service installs one table from its domain errors to HTTP statuses. Whatever is not in it is a 500
without detail, logged under its request id.
"""

import html
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Protocol, cast

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from fedrec_protocol.problems import PROBLEM_MEDIA_TYPE, TITLE, Problem, Slug
from services.kit.db import DatabaseUnavailable
from services.kit.objects import ObjectsUnavailable
from services.kit.observation import request_id
from services.kit.signed_requests import SignatureRefused

log = structlog.get_logger(__name__)

_FRAMEWORK = {
    HTTPStatus.BAD_REQUEST: Slug.INVALID_REQUEST,
    HTTPStatus.NOT_FOUND: Slug.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: Slug.METHOD_NOT_ALLOWED,
    HTTPStatus.REQUEST_TIMEOUT: Slug.BODY_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Slug.BODY_TOO_LARGE,
}

_UNREAD = "send the body as JSON, with `Content-Type: application/json`"
_UNPARSED = {  # FastAPI's words when reading JSON fails with anything but a JSONDecodeError
    "There was an error parsing the body": "send JSON in UTF-8, not compressed, and not nested hundreds of times"
}
_HINTS = {
    Slug.NOT_FOUND: "/docs lists what is served here",
    Slug.METHOD_NOT_ALLOWED: "the header Allow says which methods are; /docs lists what is served here",
}


class DomainError(Protocol):
    """What a domain's errors look like. Domains do not import this module; they have these attributes."""

    slug: Slug
    """Which problem it is."""
    retry_after_seconds: float | None
    """When trying again makes sense; None where it does not."""


def problem_response(
    status: int,
    slug: Slug,
    detail: str = "",
    *,
    request_id: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document."""
    problem = Problem(
        type=f"/problems/{slug}", title=TITLE[slug], status=status, detail=detail, slug=slug, request_id=request_id
    )
    return JSONResponse(
        problem.model_dump(exclude_none=True), status, headers=dict(headers or {}), media_type=PROBLEM_MEDIA_TYPE
    )


def install(app: FastAPI, errors: type[Exception], status_of: Mapping[type[Exception], int]) -> None:
    """Answer every error of `app` with a problem document, and serve the pages that explain them.

    Args:
        app: The service.
        errors: Base class of its domain errors; each looks like `DomainError`.
        status_of: HTTP status of each domain error.
    """

    def domain_error(request: Request, error: Exception) -> Response:
        domain = cast("DomainError", error)
        headers = dict(getattr(error, "headers", {}))
        if domain.retry_after_seconds is not None:
            headers["Retry-After"] = str(max(1, math.ceil(domain.retry_after_seconds)))  # never too early
        return problem_response(
            status_of[type(error)], domain.slug, str(error), request_id=request_id(request), headers=headers
        )

    def unreadable(request: Request, error: Exception) -> Response:
        mistakes = cast("RequestValidationError", error).errors()
        malformed = any(item["type"] == "json_invalid" for item in mistakes)
        status = HTTPStatus.BAD_REQUEST if malformed else HTTPStatus.UNPROCESSABLE_ENTITY
        detail = _UNREAD if _is_unread(request, mistakes) else _explain(mistakes)
        return problem_response(status, Slug.INVALID_REQUEST, detail, request_id=request_id(request))

    def framework_error(request: Request, error: Exception) -> Response:
        refused = cast("HTTPException", error)
        slug = _FRAMEWORK.get(HTTPStatus(refused.status_code), Slug.INVALID_REQUEST)
        detail = _HINTS.get(slug, _UNPARSED.get(str(refused.detail), str(refused.detail)))
        return problem_response(
            refused.status_code, slug, detail, request_id=request_id(request), headers=refused.headers
        )

    def storage_unavailable(request: Request, error: Exception) -> Response:
        log.error("storage unavailable", request_id=request_id(request), error=str(error))
        return problem_response(
            503,
            Slug.UNAVAILABLE,
            "the storage cannot be reached; nothing was changed that you were not told of",
            request_id=request_id(request),
            headers={"Retry-After": "2"},
        )

    def unsigned(request: Request, error: Exception) -> Response:
        slug, headers = cast("SignatureRefused", error).slug, {"WWW-Authenticate": "Bearer"}
        return problem_response(401, slug, str(error), request_id=request_id(request), headers=headers)

    def unplanned(request: Request, error: Exception) -> Response:
        log.error("unplanned error", request_id=request_id(request), path=request.url.path, exc_info=error)
        return problem_response(500, Slug.INTERNAL_ERROR, request_id=request_id(request))

    app.add_exception_handler(errors, domain_error)
    app.add_exception_handler(RequestValidationError, unreadable)
    app.add_exception_handler(HTTPException, framework_error)
    app.add_exception_handler(DatabaseUnavailable, storage_unavailable)
    app.add_exception_handler(ObjectsUnavailable, storage_unavailable)
    app.add_exception_handler(SignatureRefused, unsigned)
    app.add_exception_handler(Exception, unplanned)
    app.get("/problems/{slug}", include_in_schema=False)(_page)


def refusal(request: Request, error: Exception) -> Response:
    """How an application with `install` answers an error."""
    handlers = request.app.exception_handlers
    kind = next(kind for kind in type(error).__mro__ if kind in handlers)
    response: Response = handlers[kind](request, error)
    return response


def _is_unread(request: Request, mistakes: Sequence[Any]) -> bool:
    """Whether there is a body that was not said to be JSON: the framework takes it for one piece of text."""
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    is_json = media_type == "application/json" or media_type.endswith("+json")
    return not is_json and any(item["loc"] == ("body",) and item["type"] != "missing" for item in mistakes)


def _explain(mistakes: Sequence[Any]) -> str:
    """The first few mistakes in words, without repeating the input (it may hold a secret)."""
    parts = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in mistakes[:5]]
    return "; ".join(parts)[:1000]


def _page(slug: str) -> HTMLResponse:
    known = slug in set(Slug)
    title = TITLE[Slug(slug)] if known else "Unknown problem"
    return HTMLResponse(
        f"<!doctype html><meta charset=utf-8><title>{html.escape(slug)}</title>"
        f"<h1>{html.escape(slug)}</h1><p>{html.escape(title)}.</p>",
        status_code=200 if known else 404,
    )


def documented(*statuses: int) -> dict[int | str, dict[str, object]]:
    """OpenAPI entries for the problem documents that a route answers with."""
    return {
        status: {
            "model": Problem,
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }
