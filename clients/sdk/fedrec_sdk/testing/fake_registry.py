"""The fake's registry: versions and aliases, in memory."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from fedrec_protocol import codec
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import ModelReference
from fedrec_protocol.problems import Slug
from fedrec_protocol.registry_messages import AliasView, LineageView, ModelView, VersionView
from fedrec_protocol.tensors import DType, Tensors
from fedrec_sdk.testing.fake_catalogue import FakeCatalogue
from fedrec_sdk.testing.refusal import Refused
from fedrec_sdk.wire import to_wire


@dataclass
class FakeVersion:
    """A published version."""

    version_id: str
    number: int
    tensors: Tensors
    """Parameters, float64: as exact as the fake computes them."""
    weights: bytes
    """The file that devices download."""
    round_number: int | None
    """The round it came of; None for the first."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Means of what participants measured of it; empty until then."""

    @property
    def digest(self) -> str:
        """SHA-256 of the file, in hexadecimal."""
        return hashlib.sha256(self.weights).hexdigest()


class FakeRegistry:
    """Versions of one model."""

    def __init__(self, manifest: TaskManifest) -> None:
        self.manifest = manifest
        self.versions: list[FakeVersion] = []
        self.aliases: dict[str, FakeVersion] = {}
        self.catalogue = FakeCatalogue(manifest.model)
        self.url = ""
        self._created_at = datetime.now(UTC)

    def publish(self, tensors: Tensors, round_number: int | None) -> FakeVersion:
        """Add a version."""
        wire = {spec.name: to_wire(np.asarray(tensors[spec.name]), spec.dtype) for spec in self.manifest.shared}
        bfloat16 = frozenset(spec.name for spec in self.manifest.shared if spec.dtype is DType.BF16)
        number = len(self.versions)
        wide = {name: np.asarray(array, dtype=np.float64) for name, array in tensors.items()}
        version = FakeVersion(f"ver_{number}", number, wide, codec.encode(wire, bfloat16), round_number)
        self.versions.append(version)
        return version

    def reference(self, version: FakeVersion) -> ModelReference:
        """A version as an assignment names it."""
        return ModelReference(
            model=self.manifest.model,
            version_id=version.version_id,
            number=version.number,
            digest=version.digest,
            size_bytes=len(version.weights),
            url=f"{self.url}/v1/versions/{version.version_id}/weights",
        )

    def find(self, version_id: str) -> FakeVersion:
        """A version by id.

        Raises:
            Refused: `unknown-version`.
        """
        for version in self.versions:
            if version.version_id == version_id:
                return version
        raise Refused(Slug.UNKNOWN_VERSION, version_id)

    def alias_view(self, model: str, alias: str) -> AliasView:
        """What an alias names.

        Raises:
            Refused: `unknown-model` or `unknown-alias`.
        """
        self.require_model(model)
        if alias not in self.aliases:
            raise Refused(Slug.UNKNOWN_ALIAS, alias)
        named = self.view(self.aliases[alias])
        return AliasView(model=model, alias=alias, version=named, moved_at=datetime.now(UTC))

    def model_view(self, model: str) -> ModelView:
        """The model.

        Raises:
            Refused: `unknown-model`.
        """
        self.require_model(model)
        aliases = {alias: version.version_id for alias, version in self.aliases.items()}
        return ModelView(
            name=model, description="", created_at=self._created_at, versions=len(self.versions), aliases=aliases
        )

    def require_model(self, model: str) -> None:
        """Raise `Refused`, `unknown-model`, for any other than the task's."""
        if model != self.manifest.model:
            raise Refused(Slug.UNKNOWN_MODEL, model)

    def view(self, version: FakeVersion) -> VersionView:
        """A version as the registry describes it."""
        recipe = self.manifest.recipe
        return VersionView(
            version_id=version.version_id,
            model=self.manifest.model,
            number=version.number,
            digest=version.digest,
            size_bytes=len(version.weights),
            tensors=self.manifest.shared,
            parent_id=None if version.number == 0 else f"ver_{version.number - 1}",
            lineage=LineageView(round_number=version.round_number, recipe=recipe.name, recipe_config=recipe.config),
            metrics=version.metrics,
            evaluated=0,
            created_at=self._created_at,
        )
