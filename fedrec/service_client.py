"""One service over HTTP, asked with an operator key: answers are read, refusals explained."""

from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from fedrec_protocol.codec import MEDIA_TYPE
from fedrec_protocol.problems import Problem

T = TypeVar("T")

_UPLOAD_SECONDS = 600.0


class OperatorError(Exception):
    """A service refused, or cannot be reached; the message says what to do.

    Attributes:
        slug: the problem's slug; empty when no service answered.
    """

    def __init__(self, message: str, slug: str = "") -> None:
        super().__init__(message)
        self.slug = slug


def open_client(url: str, key: str) -> httpx.Client:
    """Connections to one service, with an operator key.

    Raises:
        OperatorError: neither can be right.
    """
    try:
        # A proxy that the environment names cannot reach this machine's loopback, and need not see the key.
        is_local = httpx.URL(url).host in {"localhost", "127.0.0.1", "::1"}
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=not is_local)
    except httpx.InvalidURL as error:
        raise OperatorError(f"{url!r} is no address: {error}") from error
    except UnicodeEncodeError as error:
        raise OperatorError("an operator key looks like fo_...") from error


def path_segment(name: str) -> str:
    """A name as one piece of a path, whatever is in it."""
    return quote(name, safe="")


def send(kind: type[T], client: httpx.Client, method: str, path: str, body: Any = None) -> T:
    """What a service answers to a request.

    Raises:
        OperatorError: the service refused, or cannot be reached.
    """
    answer = request(client, method, path, body)
    try:
        return TypeAdapter(kind).validate_json(answer.content)
    except ValidationError as error:
        raise OperatorError(f"{client.base_url} does not answer as this service does: is it the right one?") from error


def request(
    client: httpx.Client, method: str, path: str, body: Any = None, *, file: bytes | None = None
) -> httpx.Response:
    """The answer as it came; raises as `send` does. The body is JSON, or a safetensors file."""
    content: dict[str, Any] = {"json": body}
    if file is not None:
        # A registry answers once it has compressed the file.
        content = {"content": file, "headers": {"Content-Type": MEDIA_TYPE}, "timeout": _UPLOAD_SECONDS}
    try:
        answer = client.request(method, path, **content)
    except httpx.HTTPError as error:
        raise OperatorError(f"{client.base_url} cannot be reached ({type(error).__name__}): is it running?") from error
    if answer.is_error:
        raise _refused(answer)
    return answer


def _refused(answer: httpx.Response) -> OperatorError:
    try:
        problem = Problem.model_validate(answer.json())
    except ValueError:
        return OperatorError(f"{answer.request.url} answered {answer.status_code}")
    says_what_is_missing = answer.status_code == httpx.codes.NOT_FOUND
    words = [problem.detail] if says_what_is_missing else [problem.title, problem.detail]
    return OperatorError(": ".join(part for part in words if part) or problem.title, problem.slug)
