"""The routes of the protocol, answered by the fake's parts."""

import re
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import parse_qs, unquote

from pydantic import BaseModel, TypeAdapter, ValidationError

from fedrec_protocol.codec import MEDIA_TYPE
from fedrec_protocol.digest import content_digest
from fedrec_protocol.messages import (
    CheckIn,
    CheckInRequest,
    EnrolmentRequest,
    KeyChange,
    NotSelected,
    NotSelectedReason,
    TokenRequest,
)
from fedrec_protocol.problems import Slug
from fedrec_protocol.registry_messages import VersionView
from fedrec_protocol.secagg.encoding import from_base64url
from fedrec_protocol.secure_messages import PhaseView
from fedrec_sdk.testing.fake_clients import FakeClients
from fedrec_sdk.testing.fake_http import Answer, Request, ranged
from fedrec_sdk.testing.fake_registry import FakeRegistry
from fedrec_sdk.testing.fake_round import not_selected
from fedrec_sdk.testing.fake_secure import FROZEN_BY, RESOURCES
from fedrec_sdk.testing.fake_task import FakeTask
from fedrec_sdk.testing.refusal import Refused

BodyT = TypeVar("BodyT", bound=BaseModel)
_VERSIONS = TypeAdapter(list[VersionView])


class Routes:
    """Answers requests."""

    def __init__(self, clients: FakeClients, task: FakeTask, registry: FakeRegistry) -> None:
        self._clients = clients
        self._task = task
        self._registry = registry
        self.routes: list[tuple[str, str, Callable[..., Answer]]] = [
            ("POST", r"/v1/enrolments", self._enrol),
            ("POST", r"/v1/tokens", self._token),
            ("PUT", r"/v1/device-key", self._change_key),
            ("GET", r"/v1/task", self._get_task),
            ("POST", r"/v1/check-ins", self._check_in),
            ("POST", r"/v1/assignments/([^/]+)/report", self._report),
            ("GET", r"/v1/assignments/([^/]+)", self._assignment),
            ("GET", r"/v1/assignments/([^/]+)/secure", self._offer),
            ("GET", rf"/v1/assignments/([^/]+)/secure/({'|'.join(FROZEN_BY)})", self._secure_get),
            ("PUT", rf"/v1/assignments/([^/]+)/secure/({'|'.join(RESOURCES)})", self._secure_put),
            ("GET", r"/v1/versions/([^/]+)/weights", self._weights),
            ("HEAD", r"/v1/versions/([^/]+)/weights", self._weights),
            ("GET", r"/v1/versions/([^/]+)", self._version),
            ("GET", r"/v1/models/([^/]+)", self._model),
            ("GET", r"/v1/models/([^/]+)/versions", self._versions),
            ("GET", r"/v1/models/([^/]+)/catalogue", self._catalogue),
            ("GET", r"/v1/models/([^/]+)/aliases/([^/]+)", self._alias),
        ]

    def respond(self, request: Request) -> Answer:
        """The answer of the first route that fits.

        Raises:
            Refused: by the route, or `not-found`.
        """
        for method, pattern, answer in self.routes:
            found = re.fullmatch(pattern, request.path)
            if method == request.method and found is not None:
                return answer(request, *(unquote(part) for part in found.groups()))
        raise Refused(Slug.NOT_FOUND, request.path)

    def _enrol(self, request: Request) -> Answer:
        with self._task.changed:
            return _json(201, self._clients.enrol(request.bearer, _parsed(EnrolmentRequest, request)))

    def _token(self, request: Request) -> Answer:
        with self._task.changed:
            return _json(201, self._clients.token(_parsed(TokenRequest, request).assertion))

    def _change_key(self, request: Request) -> Answer:
        with self._task.changed:
            return _json(200, self._clients.change_key(_parsed(KeyChange, request)))

    def _get_task(self, request: Request) -> Answer:
        self._client(request)
        return _json(200, self._task.view())

    def _check_in(self, request: Request) -> Answer:
        client_id = self._client(request)
        preferred = re.search(r"wait=(\d+)", request.headers.get("prefer", ""))
        hold = float(preferred[1]) if preferred else 0.0
        if client_id in self._clients.revoked:
            answer: CheckIn = not_selected(NotSelectedReason.REVOKED)
        else:
            answer = self._task.check_in(client_id, _parsed(CheckInRequest, request), hold)
        if isinstance(answer, NotSelected):
            return _json(200, answer, {"Retry-After": f"{answer.retry_after_seconds:g}"})
        return _json(200, answer)

    def _report(self, request: Request, assignment_id: str) -> Answer:
        client_id = self._client(request)
        if client_id in self._clients.revoked:
            raise Refused(Slug.FORBIDDEN, "this client was revoked by an operator")
        if request.headers.get("content-type") != self._task.report_media_type:
            raise Refused(Slug.UNSUPPORTED_MEDIA_TYPE, f"a report is {self._task.report_media_type}")
        if "content-digest" not in request.headers:
            raise Refused(Slug.DIGEST_REQUIRED)
        if request.headers["content-digest"] != content_digest(request.body):
            raise Refused(Slug.DIGEST_MISMATCH)
        base_version = request.headers.get("fedrec-base-version")
        receipt, is_new = self._task.report(client_id, assignment_id, base_version, request.body)
        return _json(201 if is_new else 200, receipt)

    def _assignment(self, request: Request, assignment_id: str) -> Answer:
        return _json(200, self._task.assignment(self._client(request), assignment_id))

    def _offer(self, request: Request, assignment_id: str) -> Answer:
        client_id = self._client(request)
        with self._task.changed:
            device_key = from_base64url(self._clients.public_keys[client_id])
            return _json(200, self._task.secure_round(client_id, assignment_id).offer(client_id, device_key))

    def _secure_get(self, request: Request, assignment_id: str, resource: str) -> Answer:
        client_id = self._client(request)
        with self._task.changed:
            found = self._task.secure_round(client_id, assignment_id).get(client_id, resource)
        is_frozen = not isinstance(found, PhaseView)
        return _json(200, found) if is_frozen else _json(202, found, {"Retry-After": "0.05"})

    def _secure_put(self, request: Request, assignment_id: str, resource: str) -> Answer:
        client_id = self._client(request)
        phase, kind = RESOURCES[resource]
        return _json(200, self._task.secure_answer(client_id, assignment_id, phase, _parsed(kind, request)))

    def _weights(self, request: Request, version_id: str) -> Answer:
        self._client(request)
        version = self._registry.find(version_id)
        return ranged(request, version.weights, version.digest, MEDIA_TYPE)

    def _version(self, request: Request, version_id: str) -> Answer:
        self._client(request)
        return _json(200, self._registry.view(self._registry.find(version_id)))

    def _versions(self, request: Request, model: str) -> Answer:
        self._client(request)
        self._registry.require_model(model)
        newest_first = [self._registry.view(version) for version in reversed(self._registry.versions)]
        return Answer(200, _VERSIONS.dump_json(newest_first))

    def _model(self, request: Request, model: str) -> Answer:
        self._client(request)
        return _json(200, self._registry.model_view(model))

    def _catalogue(self, request: Request, model: str) -> Answer:
        self._client(request)
        self._registry.require_model(model)
        since = parse_qs(request.query).get("since", ["0"])[0]
        if not since.isdecimal():
            raise Refused(Slug.INVALID_REQUEST, "query.since: a number")
        return _json(200, self._registry.catalogue.view(int(since)))

    def _alias(self, request: Request, model: str, alias: str) -> Answer:
        self._client(request)
        return _json(200, self._registry.alias_view(model, alias))

    def _client(self, request: Request) -> str:
        with self._task.changed:
            return self._clients.identify(request)


def _json(status: int, body: BaseModel, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, body.model_dump_json().encode(), headers=headers)


def _parsed(kind: type[BodyT], request: Request) -> BodyT:
    try:
        return kind.model_validate_json(request.body)
    except ValidationError as error:
        raise Refused(Slug.INVALID_REQUEST, str(error)) from error
