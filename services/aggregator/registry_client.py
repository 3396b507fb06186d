"""The model registry, over HTTP: the only way in which the aggregator reaches it."""

import hashlib
import threading
from collections import OrderedDict
from typing import Any

import httpx

from fedrec_protocol import codec
from fedrec_protocol.messages import ModelReference
from fedrec_protocol.problems import Problem
from fedrec_protocol.registry_messages import MetricsRequest, ModelRequest, VersionRequest, VersionView
from fedrec_protocol.tensors import Tensors
from services.aggregator.domain.errors import RegistryRefused, Unavailable

_PERMANENT = frozenset(range(400, 500)) - {408, 425, 429}
"""Answers that will be the same the next time."""
_MODELS_REMEMBERED = 4


class VersionMissing(RegistryRefused):
    """The registry has no such version, or its weights no more."""

    def __init__(self, version_id: str) -> None:
        super().__init__(f"the model registry has no version {version_id!r}, or its weights no more")


class RegistryClient:
    """Publishes and reads versions; remembers each model's newest weights, which the next round starts from."""

    def __init__(self, url: str, key: str, public_url: str) -> None:
        """`public_url` is what devices reach the registry by; `key` is an operator key of role `run`."""
        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=httpx.Timeout(60, connect=5)
        )
        self.public_url = public_url.rstrip("/")
        self._lock = threading.Lock()
        self._newest: OrderedDict[str, tuple[str, bytes]] = OrderedDict()

    def ensure_model(self, name: str) -> None:
        """Make the model unless it exists."""
        self._send("POST", "/v1/models", json=ModelRequest(name=name).model_dump(), accept=(201, 409))

    def version(self, version_id: str) -> VersionView:
        """Read a version.

        Raises:
            VersionMissing: there is none.
            Unavailable: the registry cannot be reached.
        """
        answer = self._send("GET", f"/v1/versions/{version_id}", accept=(200, 404))
        if answer.status_code == 404:
            raise VersionMissing(version_id)
        return VersionView.model_validate(answer.json())

    def require_weights(self, version_id: str) -> None:
        """Make sure that a version's weights are there, and stay: they count as used.

        Raises:
            VersionMissing: they are not.
            Unavailable: the registry cannot be reached.
        """
        if self._send("HEAD", f"/v1/versions/{version_id}/weights", accept=(200, 404, 410)).is_error:
            raise VersionMissing(version_id)

    def reference(self, version: VersionView) -> ModelReference:
        """A version as participants are told of it."""
        return ModelReference(
            model=version.model,
            version_id=version.version_id,
            number=version.number,
            digest=version.digest,
            size_bytes=version.size_bytes,
            url=f"{self.public_url}/v1/versions/{version.version_id}/weights",
        )

    def publish(self, model: str, weights: bytes, request: VersionRequest) -> ModelReference:
        """Upload weights and make them a version; again with the same round: the same version."""
        path = f"/v1/weights/{request.digest}"
        self._send("PUT", path, content=weights, headers={"Content-Type": codec.MEDIA_TYPE}, accept=(200, 201))
        body = request.model_dump(mode="json", exclude_unset=True)  # a registry of the release before knows no more
        answer = self._send("POST", f"/v1/models/{model}/versions", json=body, accept=(200, 201))
        self._remember(model, request.digest, weights)
        return self.reference(VersionView.model_validate(answer.json()))

    def put_metrics(self, version_id: str, metrics: dict[str, float], evaluated: int) -> None:
        """Record what participants measured of a version."""
        body = MetricsRequest(metrics=metrics, evaluated=evaluated).model_dump()
        self._send("PUT", f"/v1/versions/{version_id}/metrics", json=body, accept=(200, 204))

    def weights(self, reference: ModelReference) -> Tensors:
        """A version's tensors, as views of the file."""
        with self._lock:
            digest, content = self._newest.get(reference.model, ("", b""))
        if digest != reference.digest:
            content = self._send("GET", f"/v1/versions/{reference.version_id}/weights", accept=(200,)).content
            if hashlib.sha256(content).hexdigest() != reference.digest:
                raise Unavailable(f"the registry's weights of version {reference.version_id} are not what they were")
        self._remember(reference.model, reference.digest, content)
        return codec.decode(content)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _remember(self, model: str, digest: str, content: bytes) -> None:
        with self._lock:
            self._newest[model] = (digest, content)
            self._newest.move_to_end(model)
            while len(self._newest) > _MODELS_REMEMBERED:
                self._newest.popitem(last=False)

    def _send(self, method: str, path: str, *, accept: tuple[int, ...], **options: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise Unavailable(f"the model registry cannot be reached ({type(error).__name__})") from error
        if answer.status_code in accept:
            return answer
        if answer.status_code in _PERMANENT:
            raise RegistryRefused(f"the model registry refused {method} {path}: {_why(answer)}")
        raise Unavailable(f"the model registry answered {method} {path} with {answer.status_code}")


def _why(answer: httpx.Response) -> str:
    try:
        problem = Problem.model_validate(answer.json())
    except ValueError:
        return str(answer.status_code)
    return f"{problem.status} {problem.slug}, {problem.detail or problem.title}"
