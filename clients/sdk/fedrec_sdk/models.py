"""Model versions on this device: downloaded when needed, decoded when used, few of them kept."""

import logging

from fedrec_protocol import codec
from fedrec_protocol.messages import ModelReference
from fedrec_protocol.registry_messages import VersionView
from fedrec_protocol.tensors import Tensors, TensorSpec
from fedrec_sdk.download import Weights
from fedrec_sdk.errors import Unavailable, rejected_here
from fedrec_sdk.registry_address import RegistryAddress
from fedrec_sdk.session import Session
from fedrec_sdk.store import LocalStore
from fedrec_sdk.store.versions import ModelVersion, published, referenced
from fedrec_sdk.wire import from_wire

log = logging.getLogger(__name__)

PRODUCTION = "production"
"""The alias that serves by default."""


class Models:
    """The model versions that this participant uses."""

    def __init__(self, store: LocalStore, session: Session, registry: RegistryAddress) -> None:
        self._store = store
        self._session = session
        self._registry = registry

    def base(self, reference: ModelReference, specs: tuple[TensorSpec, ...]) -> Tensors:
        """The tensors of the version that an assignment is based on.

        Raises:
            Unavailable: the download stopped; it goes on next time.
            Rejected: refused, or the weights are not what they should be.
        """
        self._registry.learn(reference.url)
        return _decoded(self._fetch(referenced(reference), reference.url), specs)

    def refresh(self, model: str, alias: str) -> ModelVersion:
        """Download the version that an alias names now, unless it is here.

        Raises:
            Unavailable: no answer, or nobody has named the registry yet.
            Rejected: `unknown-alias`, ...
        """
        registry_url = self._registry.get()
        view: VersionView = self._session.alias(registry_url, model, alias).version
        version = published(view)
        self._fetch(version, f"{registry_url}/v1/versions/{view.version_id}/weights", alias)
        return version

    def choose(self, model: str, name: str | None) -> ModelVersion:
        """A version that is on this device, by alias or id.

        Without a name: the one that `production` named when it was last refreshed, or else the newest.

        Raises:
            Unavailable: it is not on this device.
        """
        versions = self._store.versions
        found = versions.find(model, PRODUCTION if name is None else name)
        if found is None and name is None:
            found = versions.newest(model)
        if found is None:
            raise Unavailable(
                f"no version {name or 'of the model'} on this device yet: refresh_model() or contribute()"
            )
        return found

    def tensors(self, version: ModelVersion, specs: tuple[TensorSpec, ...]) -> Tensors:
        """The tensors of a version that is on this device.

        Raises:
            Unavailable: its weights were evicted.
            Rejected: its tensors are not the ones expected.
        """
        body = self._store.models.read(version.digest)
        if body is None:
            raise Unavailable(f"the weights of version {version.number} are no longer on this device: refresh_model()")
        return _decoded(body, specs)

    def _fetch(self, version: ModelVersion, url: str, alias: str | None = None) -> memoryview:
        weights = Weights(url, version.digest, version.size_bytes)
        body = self._store.models.fetch(version.digest, lambda part: self._session.download(weights, part))
        self._store.versions.remember(version, alias)
        remaining = self._store.models.evict(self._store.versions.pinned_digests())
        self._store.versions.forget_all_but(remaining)
        return body


def _decoded(body: memoryview, specs: tuple[TensorSpec, ...]) -> Tensors:
    try:
        tensors = codec.decode_exactly(body, specs)
    except codec.TensorsRejected as error:
        raise rejected_here(error.slug, f"the weights do not fit the manifest: {error}") from error
    return {spec.name: from_wire(tensors[spec.name], spec.dtype) for spec in specs}
