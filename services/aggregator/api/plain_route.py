"""Routes whose functions read the request themselves, for requests that are small and many.

Resolving dependencies, parameters and a response model takes longer than taking a report of a small model in.
What such a route expects is documented beside it.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.types import Receive, Scope, Send

from services.aggregator.api.parameters import AssignmentId

_ID = TypeAdapter[str](AssignmentId)


class PlainRoute(APIRoute):
    """Calls its function with the request, and sends what that returns; FastAPI only documents it."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request to this route's path."""
        methods = self.methods or set()
        if scope["method"] not in methods:
            raise HTTPException(405, headers={"Allow": ", ".join(methods)})
        response: Response = await self.endpoint(Request(scope, receive, send))
        await response(scope, receive, send)


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
