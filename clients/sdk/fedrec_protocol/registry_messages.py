"""Request and response bodies of the model registry, as JSON."""

from datetime import datetime

from pydantic import Field, JsonValue

from fedrec_protocol.base import Message, Response
from fedrec_protocol.manifest import Name
from fedrec_protocol.tensors import TensorSpec

Digest = str
"""SHA-256 in lower-case hexadecimal."""


class ModelRequest(Message):
    """Make a model: a name under which versions are published."""

    name: Name
    """The model's name."""
    description: str = Field(default="", max_length=2000)
    """What it is for."""


class ModelView(Response):
    """A model."""

    name: str
    """The model's name."""
    description: str
    """What it is for."""
    created_at: datetime
    """When it was made (UTC)."""
    versions: int
    """Number of versions published."""
    aliases: dict[str, str]
    """Alias to version id, e.g. `production`."""


class WeightsView(Response):
    """Weights that were uploaded."""

    digest: Digest
    """SHA-256 of the file, in hexadecimal."""
    size_bytes: int
    """Size of the file."""


class Lineage(Message):
    """Where a version comes from."""

    task_id: str | None = None
    """Task that trained it; null when it was uploaded by hand."""
    round_id: str | None = None
    """Round that it came of: publishing is idempotent on it."""
    round_number: int | None = None
    """Number of that round in its task."""
    recipe: str | None = None
    """Name of the recipe."""
    recipe_config: dict[str, JsonValue] = {}
    """The recipe's configuration: with the weights, all a device needs to score items."""
    aggregation_rule: str | None = None
    """Rule that made it from the sum of the round."""
    report_count: int | None = None
    """Reports behind it."""
    weight: int | None = None
    """Total weight behind it: for weighted averages, the number of examples."""
    privacy: dict[str, JsonValue] | None = None
    """Privacy statement; null means that no privacy mechanism was applied."""


class VersionRequest(Message):
    """Publish a version, whose weights were uploaded before."""

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the weights, in hexadecimal."""
    parent_id: str | None = None
    """Version that it was trained from."""
    lineage: Lineage = Lineage()
    """Where it comes from."""


class VersionView(Response):
    """An immutable model version."""

    version_id: str
    """Opaque id."""
    model: str
    """The model's name."""
    number: int
    """Number in its model, from 0."""
    digest: Digest
    """SHA-256 of the weights, in hexadecimal."""
    size_bytes: int
    """Size of the weights file."""
    tensors: tuple[TensorSpec, ...]
    """What the weights file holds."""
    parent_id: str | None
    """Version that it was trained from."""
    lineage: Lineage
    """Where it comes from."""
    metrics: dict[str, float]
    """Federated metrics of this version; empty until it was evaluated."""
    evaluated: int
    """Number of evaluations behind the metrics."""
    created_at: datetime
    """When it was published (UTC)."""


class MetricsRequest(Message):
    """Record what participants measured of a version."""

    metrics: dict[str, float]
    """Means over the evaluations."""
    evaluated: int = Field(ge=0)
    """Number of evaluations."""


class Gate(Message):
    """What a candidate must show before an alias moves to it."""

    metric: str
    """Metric on which candidate and incumbent are compared; larger is better."""
    minimum_improvement: float = 0.0
    """Candidate's metric must be at least the incumbent's plus this; negative tolerates a loss."""


class PromotionRequest(Message):
    """Move an alias to a version."""

    version_id: str
    """The candidate."""
    gate: Gate | None = None
    """Refuse unless the candidate is good enough; null moves the alias in any case."""
    reason: str = Field(default="", max_length=2000)
    """Why, for the log."""


class RollbackRequest(Message):
    """Move an alias back to the version before."""

    reason: str = Field(default="", max_length=2000)
    """Why, for the log."""


class AliasView(Response):
    """An alias and the version that it names."""

    model: str
    """The model's name."""
    alias: str
    """e.g. `production`."""
    version: VersionView
    """The version that it names."""
    moved_at: datetime
    """When it was last moved (UTC)."""


class AliasMove(Response):
    """One entry of an alias's log."""

    alias: str
    """The alias."""
    from_version_id: str | None
    """Version before the move; null for the first."""
    to_version_id: str
    """Version after the move."""
    action: str
    """`promote` or `roll-back`."""
    operator: str
    """Name of the operator key that moved it."""
    reason: str
    """Why."""
    moved_at: datetime
    """When (UTC)."""
