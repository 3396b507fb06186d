"""A short way to routes whose requests are small and many.

The framework's layers, its search for a route and what it does around a function take longer than taking a report of a
small model in. A route that comes this way reads its request itself, and answers with a `Response`; what it expects is
documented beside it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import HTTPException, Request
from pydantic import TypeAdapter, ValidationError
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from services.aggregator.api.parameters import AssignmentId
from services.kit.problems import refusal

_ID = TypeAdapter[str](AssignmentId)


class ShortCut:
    """Middleware: calls the functions of some routes with the request; all other requests go the long way."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self.app = app
        self._routes = [route for route in routes if isinstance(route, Route)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._find(scope) if scope["type"] == "http" else None
        if found is None:
            await self.app(scope, receive, send)
            return
        scope["route"], scope["path_params"] = found
        request = Request(scope, receive, send)
        try:
            response = await found[0].endpoint(request)
        except Exception as error:
            response = refusal(request, error)
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> tuple[Route, dict[str, str]] | None:
        for route in self._routes:
            match = route.path_regex.match(scope["path"])
            if match is not None and scope["method"] in (route.methods or ()):
                return route, match.groupdict()
        return None


def assignment_id_of(request: Request) -> str:
    """The assignment in the request's path; 422 when it cannot be one."""
    try:
        return _ID.validate_python(request.path_params["assignment_id"])
    except ValidationError as error:
        raise HTTPException(422, "path.assignment_id: not an id") from error


def described(body: Mapping[str, Any], headers: Mapping[str, tuple[bool, str]]) -> dict[str, Any]:
    """What OpenAPI shall say of such a route of participants, on an assignment.

    Args:
        body: The request's body.
        headers: Whether it is required and what it is for, by name of the header.
    """
    path = {"name": "assignment_id", "in": "path", "required": True, "schema": _ID.json_schema()}
    fields = [
        {"name": name, "in": "header", "required": required, "description": words, "schema": {"type": "string"}}
        for name, (required, words) in headers.items()
    ]
    parameters = [path | {"description": "Opaque id of the assignment"}, *fields]
    return {"security": [{"participant": []}], "parameters": parameters, "requestBody": dict(body)}
