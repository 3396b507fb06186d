"""Headers of a request as they came."""

from starlette.requests import HTTPConnection


def first_header(request: HTTPConnection, name: bytes) -> str | None:
    """The first header with this lower-case name; None where there is none.

    `request.headers` decodes one after the other until it has found it: for a small report that adds up.
    """
    for other, value in request.scope["headers"]:
        if other == name:
            return str(value, "latin-1")
    return None
