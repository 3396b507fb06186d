"""HTTP with retries: the only module that knows httpx.

Every request of the protocol may be sent twice (enrolment is idempotent by public key, a check-in by the
open assignment, a report by its digest), so every request is retried.
"""

import email.utils
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

from fedrec_protocol.problems import Problem, Slug
from fedrec_sdk.backoff import Backoff
from fedrec_sdk.errors import Rejected, Unavailable

log = logging.getLogger(__name__)
T = TypeVar("T")

_POOL_SIZE = 16
_TRY_LATER_STATUSES = frozenset({408, 425, 429})
_TRY_LATER_SLUGS = frozenset({Slug.BODY_TIMEOUT, Slug.BODY_INCOMPLETE, Slug.DIGEST_MISMATCH})
"""What goes wrong on the way, whatever status a service gives it."""
_SLUG_OF_STATUS = {401: Slug.UNAUTHENTICATED, 403: Slug.FORBIDDEN, 404: Slug.NOT_FOUND}


@dataclass(frozen=True)
class Answer:
    """A successful answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> timedelta | None:
        """When to ask again; None where it does not say."""
        return _retry_after(self.headers)


@dataclass(frozen=True)
class Streamed:
    """A successful answer whose body is still to be read."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


class Transport:
    """A pool of connections with retries; safe to share between threads and participants.

    Waits of up to `longest_wait` are slept here; a service that asks for a longer one gets its way by
    an `Unavailable` that carries it, so that the app can do something else meanwhile.

    Args:
        attempts: How often a request is sent before it is `Unavailable`.
        timeout: Seconds to connect, and between two parts of an answer or of a body.
        longest_wait: Seconds that are slept here between two attempts.
        maximum_connections: Connections at most (rounded up to a multiple of 16): as many as there are
            threads that may wait for an answer at the same time.
        backoff: Waits between attempts.
        sleep: How to wait.
    """

    def __init__(
        self,
        *,
        attempts: int = 5,
        timeout: float = 30.0,
        longest_wait: float = 5.0,
        maximum_connections: int = 100,
        backoff: Backoff | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.attempts = attempts
        self.longest_wait = longest_wait
        self.backoff = backoff if backoff is not None else Backoff()
        self._sleep = sleep
        self._timeout = timeout
        self._clock_offsets: dict[str, float] = {}
        self._pools = _pools(maximum_connections)
        self._turns = itertools.cycle(self._pools)
        self._mine = threading.local()

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools:
            pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        held: float = 0.0,
    ) -> Answer:
        """Send a request, again where that may help, and return the 2xx answer.

        Args:
            method: `GET`, `POST`, ...
            url: An absolute address.
            headers: Request headers.
            body: The body, sent with its `Content-Length`.
            held: Seconds that the service was asked to hold the answer (long poll).

        Raises:
            Unavailable: no answer, or one that says: later.
            Rejected: any other refusal.
        """

        def once() -> Answer:
            with self._response(method, url, headers, body=body, held=held) as response:
                return Answer(response.status_code, response.headers, response.read())

        return self.retrying(once)

    @contextmanager
    def stream(self, url: str, headers: Mapping[str, str]) -> Iterator[Streamed]:
        """GET without retries; errors are mapped also while the body is read.

        Redirects are followed (httpx drops the credential when the host changes).
        """
        with self._response("GET", url, headers, follow_redirects=True) as response:
            yield Streamed(response.status_code, response.headers, response.iter_raw())

    def retrying(self, once: Callable[[], T]) -> T:
        """Call until it succeeds, is rejected, or has been unavailable `attempts` times."""
        failures = 0
        while True:
            try:
                return once()
            except Unavailable as refusal:
                failures += 1
                self.pause(failures, refusal)

    def pause(self, failures: int, refusal: Unavailable) -> None:
        """Sleep before the next attempt; raise the refusal when there have been enough, or the wait is long."""
        asked = refusal.retry_after.total_seconds() if refusal.retry_after is not None else 0.0
        if failures >= self.attempts or asked > self.longest_wait:
            raise refusal
        seconds = self.backoff.seconds(failures, refusal.retry_after)
        log.debug("retrying in %.2f s after %d failures: %s", seconds, failures, refusal)
        self._sleep(seconds)

    def server_time(self, url: str) -> float:
        """Seconds since the epoch by the clock of the server at `url`, as far as its answers told.

        Devices with a wrong clock would otherwise sign assertions that nobody accepts.
        """
        return time.time() + self._clock_offsets.get(_origin(url), 0.0)

    @contextmanager
    def _response(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        *,
        body: bytes | None = None,
        held: float = 0.0,
        follow_redirects: bool = False,
    ) -> Iterator[httpx.Response]:
        timeout = httpx.Timeout(self._timeout, read=self._timeout + held)
        pool = self._pool()
        try:
            request = pool.build_request(method, url, headers=headers, content=body, timeout=timeout)
            response = pool.send(request, stream=True, follow_redirects=follow_redirects)
            try:
                self._note_clock(url, response)
                _raise_unless_successful(response)
                yield response
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"{method} {url}: {type(error).__name__}") from error

    def _pool(self) -> httpx.Client:
        """This thread's pool: threads take turns in choosing one, and then keep it."""
        pool: httpx.Client | None = getattr(self._mine, "pool", None)
        if pool is None:
            pool = self._mine.pool = next(self._turns)
        return pool

    def _note_clock(self, url: str, response: httpx.Response) -> None:
        answered = _http_date(response.headers.get("Date"))
        if answered is not None:
            self._clock_offsets[_origin(url)] = answered.timestamp() - time.time()


def _pools(maximum_connections: int) -> list[httpx.Client]:
    """Several small pools: httpx looks at every connection of a pool, under one lock, for each request.

    With 300 threads in one pool a request takes seven times the CPU of one in a pool of 16.
    """
    number = -(-maximum_connections // _POOL_SIZE)
    limits = httpx.Limits(max_connections=_POOL_SIZE, max_keepalive_connections=_POOL_SIZE)
    certificates = httpx.create_ssl_context()  # loaded once: it takes longer than everything else here
    return [httpx.Client(limits=limits, verify=certificates) for _ in range(number)]


def _raise_unless_successful(response: httpx.Response) -> None:
    if response.is_success:
        return
    problem = _problem(response)
    # A redirect of an API call is not of the protocol: more likely a network that wants a login first.
    is_client_error = 400 <= response.status_code < 500
    if not is_client_error or response.status_code in _TRY_LATER_STATUSES or problem.slug in _TRY_LATER_SLUGS:
        raise Unavailable(f"{problem.slug}: {problem.detail or problem.title}", _retry_after(response.headers))
    raise Rejected(problem)


def _problem(response: httpx.Response) -> Problem:
    """The problem document, or one made of the status when something else answered (a proxy, a wrong address)."""
    try:
        return Problem.model_validate_json(response.read())
    except ValidationError:
        slug = _SLUG_OF_STATUS.get(response.status_code, Slug.INVALID_REQUEST)
        return Problem(
            type=f"/problems/{slug}",
            title=f"HTTP {response.status_code} {response.reason_phrase}",
            status=response.status_code,
            detail=f"{response.request.method} {response.request.url.path} answered HTTP {response.status_code}",
            slug=slug,
        )


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """The field in either of its forms, delay or date (RFC 9110, section 10.2.3)."""
    field = headers.get("Retry-After", "")
    try:
        return timedelta(seconds=max(float(field), 0.0))
    except (ValueError, OverflowError):
        until = _http_date(field)
    if until is None:
        return None
    now = _http_date(headers.get("Date")) or datetime.now(UTC)
    return max(until - now, timedelta(0))


def _http_date(field: str | None) -> datetime | None:
    try:
        date = email.utils.parsedate_to_datetime(field) if field else None
    except ValueError:
        return None
    # Of the three forms of a date (RFC 9110, section 5.6.7) one names no zone; all are in UTC.
    return date.replace(tzinfo=UTC) if date is not None and date.tzinfo is None else date


def _origin(url: str) -> str:
    return urlsplit(url).netloc
