"""The operator's client: create and watch tasks, publish and promote versions, over HTTP."""

from collections.abc import Sequence
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from fedrec_protocol.item_catalogue import CatalogueChange, CatalogueRequest, CatalogueView
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.operator_messages import AuditEntry, EnrolmentKeyCreated, EnrolmentKeyView, RoundView, TaskView
from fedrec_protocol.problems import Problem
from fedrec_protocol.registry_messages import AliasView, Gate, PromotionRequest, RollbackRequest, VersionView

T = TypeVar("T")


class OperatorError(Exception):
    """A service refused, or cannot be reached; the message says what to do.

    Attributes:
        slug: the problem's slug; empty when no service answered.
    """

    def __init__(self, message: str, slug: str = "") -> None:
        super().__init__(message)
        self.slug = slug


class Operator:
    """Both services, as an operator sees them. Use it as a context manager, or close it."""

    def __init__(self, aggregator_url: str, registry_url: str, *, aggregator_key: str, registry_key: str) -> None:
        """The keys are operator keys `fo_...` of each service."""
        self._aggregator = _client(aggregator_url, aggregator_key)
        self._registry = _client(registry_url, registry_key)

    def create_task(self, manifest: TaskManifest) -> TaskView:
        """Start training by a manifest."""
        body = manifest.model_dump(mode="json")
        return _send(TaskView, self._aggregator, "POST", "/v1/tasks", body)

    def task(self, task_id: str) -> TaskView:
        """One task."""
        return _send(TaskView, self._aggregator, "GET", f"/v1/tasks/{task_id}")

    def tasks(self) -> list[TaskView]:
        """All tasks, newest first."""
        return _send(list[TaskView], self._aggregator, "GET", "/v1/tasks")

    def steer(self, task_id: str, action: str) -> TaskView:
        """`pause`, `resume` or `cancel` a task."""
        return _send(TaskView, self._aggregator, "POST", f"/v1/tasks/{task_id}/{action}")

    def create_enrolment_key(self, task_id: str) -> EnrolmentKeyCreated:
        """A key by which an app's devices enrol."""
        return _send(EnrolmentKeyCreated, self._aggregator, "POST", f"/v1/tasks/{task_id}/enrolment-keys")

    def enrolment_keys(self, task_id: str) -> list[EnrolmentKeyView]:
        """A task's enrolment keys, without their secrets."""
        return _send(list[EnrolmentKeyView], self._aggregator, "GET", f"/v1/tasks/{task_id}/enrolment-keys")

    def rounds(self, task_id: str, *, limit: int = 500) -> list[RoundView]:
        """A task's rounds, newest first."""
        return _send(list[RoundView], self._aggregator, "GET", f"/v1/tasks/{task_id}/rounds?limit={limit}")

    def version(self, version_id: str) -> VersionView:
        """One model version."""
        return _send(VersionView, self._registry, "GET", f"/v1/versions/{version_id}")

    def weights(self, version_id: str) -> bytes:
        """A version's weights, a safetensors file."""
        return _request(self._registry, "GET", f"/v1/versions/{version_id}/weights").content

    def promote(
        self, model: str, alias: str, version_id: str, *, gate: Gate | None = None, reason: str = ""
    ) -> AliasView:
        """Move an alias to a version, if the gate lets it."""
        body = PromotionRequest(version_id=version_id, gate=gate, reason=reason).model_dump(mode="json")
        return _send(AliasView, self._registry, "PUT", f"/v1/models/{_segment(model)}/aliases/{_segment(alias)}", body)

    def roll_back(self, model: str, alias: str, *, reason: str = "") -> AliasView:
        """Move an alias back to the version before."""
        body = RollbackRequest(reason=reason).model_dump(mode="json")
        path = f"/v1/models/{_segment(model)}/aliases/{_segment(alias)}/rollback"
        return _send(AliasView, self._registry, "POST", path, body)

    def make_catalogue(self, model: str, capacity: int) -> CatalogueView:
        """Give a model a catalogue of items; one of the same capacity stays as it is."""
        body = CatalogueRequest(capacity=capacity).model_dump(mode="json")
        return _send(CatalogueView, self._registry, "PUT", f"/v1/models/{_segment(model)}/catalogue", body)

    def change_catalogue(self, model: str, *, add: Sequence[str] = (), retire: Sequence[str] = ()) -> CatalogueView:
        """Add and retire items; returns the rows that changed."""
        body = CatalogueChange(add=tuple(add), retire=tuple(retire)).model_dump(mode="json")
        path = f"/v1/models/{_segment(model)}/catalogue/changes"
        return _send(CatalogueView, self._registry, "POST", path, body)

    def catalogue(self, model: str) -> CatalogueView:
        """A model's whole catalogue of items."""
        return _send(CatalogueView, self._registry, "GET", f"/v1/models/{_segment(model)}/catalogue")

    def close(self) -> None:
        """Close the connections."""
        self._aggregator.close()
        self._registry.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_audit(url: str, key: str, *, limit: int = 100) -> list[AuditEntry]:
    """What operators did at one service, newest first.

    Args:
        url: Of the aggregator or of the model registry.
        key: An operator key of role `admin` of that service.
        limit: Entries at most.

    Raises:
        OperatorError: the service refused, or cannot be reached.
    """
    with _client(url, key) as client:
        return _send(list[AuditEntry], client, "GET", f"/v1/audit?limit={limit}")


def _client(url: str, key: str) -> httpx.Client:
    try:
        # A proxy that the environment names cannot reach this machine's loopback, and need not see the key.
        is_local = httpx.URL(url).host in {"localhost", "127.0.0.1", "::1"}
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=not is_local)
    except httpx.InvalidURL as error:
        raise OperatorError(f"{url!r} is no address: {error}") from error
    except UnicodeEncodeError as error:
        raise OperatorError("an operator key looks like fo_...") from error


def _segment(name: str) -> str:
    """A name as one piece of a path, whatever is in it."""
    return quote(name, safe="")


def _send(kind: type[T], client: httpx.Client, method: str, path: str, body: Any = None) -> T:
    answer = _request(client, method, path, body)
    try:
        return TypeAdapter(kind).validate_json(answer.content)
    except ValidationError as error:
        raise OperatorError(f"{client.base_url} does not answer as this service does: is it the right one?") from error


def _request(client: httpx.Client, method: str, path: str, body: Any = None) -> httpx.Response:
    try:
        answer = client.request(method, path, json=body)
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
    return OperatorError(f"{problem.title}: {problem.detail}" if problem.detail else problem.title, problem.slug)
