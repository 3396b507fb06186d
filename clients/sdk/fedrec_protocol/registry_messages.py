"""Request and response bodies of the model registry, as JSON."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, FiniteFloat, JsonValue, StringConstraints

from fedrec_protocol.base import Message, Response
from fedrec_protocol.manifest import MetricName, Name
from fedrec_protocol.tensors import TensorSpec

MAXIMUM_COUNT = 2**53 - 1
"""Largest integer that every JSON reader keeps exactly (RFC 8259, section 6)."""
MAXIMUM_STATEMENT_BYTES = 64 * 1024

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in lower-case hexadecimal."""

Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=2000)]
"""Prose, of at most 2000 characters; NUL is refused because databases and log readers trip over it."""

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-]{1,200}$")]
"""An opaque id."""


def _storable(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if len(json.dumps(value, allow_nan=False)) > MAXIMUM_STATEMENT_BYTES:  # NaN and infinities are not JSON
        raise ValueError(f"larger than {MAXIMUM_STATEMENT_BYTES} bytes as JSON")
    for text in _texts(value):
        text.encode()  # half a surrogate pair can be written in JSON and is no text: UnicodeEncodeError
        if "\x00" in text:
            raise ValueError("holds a NUL character")
    return value


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        yield from (text for item in value.values() for text in _texts(item))
    elif isinstance(value, list):
        yield from (text for item in value for text in _texts(item))


Statement = Annotated[dict[str, JsonValue], AfterValidator(_storable)]
"""A JSON object of at most 64 KiB that any JSON store can keep."""


class ModelRequest(Message):
    """Make a model: a name under which versions are published."""

    name: Name = Field(examples=["films"])
    """The model's name."""
    description: Text = Field(default="", examples=["Films, 64 factors"])
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

    task_id: Id | None = None
    """Task that trained it; null when it was uploaded by hand."""
    round_id: Id | None = None
    """Round that it came of: publishing is idempotent on it."""
    round_number: int | None = Field(default=None, ge=0, le=MAXIMUM_COUNT)
    """Number of that round in its task."""
    recipe: Name | None = None
    """Name of the recipe."""
    recipe_config: Statement = {}
    """The recipe's configuration: with the weights, all a device needs to score items."""
    aggregation_rule: Name | None = None
    """Rule that made it from the sum of the round."""
    report_count: int | None = Field(default=None, ge=0, le=MAXIMUM_COUNT)
    """Reports behind it."""
    weight: int | None = Field(default=None, ge=0, le=MAXIMUM_COUNT)
    """Total weight behind it: for weighted averages, the number of examples."""
    privacy: Statement | None = None
    """Privacy statement; null means that no privacy mechanism was applied."""
    members: tuple[Id, ...] | None = Field(default=None, max_length=16)
    """Versions of other models that it is combined from, in order; null where it is not."""


class LineageView(Lineage):
    """Where a version comes from, as the registry answers it: a newer registry may say more."""

    model_config = ConfigDict(extra="ignore")


class VersionRequest(Message):
    """Publish a version, whose weights were uploaded before."""

    digest: Digest = Field(examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
    """SHA-256 of the weights, in hexadecimal."""
    parent_id: Id | None = Field(default=None, examples=["ver_5gxw2tq4fpj7ls7zqhzwlrcdmu"])
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
    has_weights: bool = True
    """False once they were deleted, since nobody had used them for long."""
    parent_id: str | None
    """Version that it was trained from."""
    lineage: LineageView
    """Where it comes from."""
    metrics: dict[str, float]
    """Federated metrics of this version; empty until it was evaluated."""
    evaluated: int
    """Number of evaluations behind the metrics."""
    catalogue_number: int | None = None
    """The model's newest catalogue of items when it was published; null where the model has none."""
    created_at: datetime
    """When it was published (UTC)."""


class MetricsRequest(Message):
    """Record what participants measured of a version."""

    metrics: dict[MetricName, FiniteFloat] = Field(
        max_length=256,
        examples=[{"hr@10": 0.21, "ndcg@10": 0.12}],
        json_schema_extra={"additionalProperties": False},  # the schema would allow any other name
    )
    """Means over the evaluations."""
    evaluated: int = Field(ge=0, le=MAXIMUM_COUNT)
    """Number of evaluations."""


class Gate(Message):
    """What a candidate must show before an alias moves to it."""

    metric: MetricName = Field(examples=["ndcg@10"])
    """Metric on which candidate and incumbent are compared; larger is better."""
    minimum_improvement: FiniteFloat = 0.0
    """Candidate's metric must be at least the incumbent's plus this; negative tolerates a loss."""


class PromotionRequest(Message):
    """Move an alias to a version."""

    version_id: Id = Field(examples=["ver_5gxw2tq4fpj7ls7zqhzwlrcdmu"])
    """The candidate."""
    gate: Gate | None = None
    """Refuse unless the candidate is good enough; null moves the alias in any case."""
    reason: Text = Field(default="", examples=["better in the last three rounds"])
    """Why, for the log."""


class RollbackRequest(Message):
    """Move an alias back to the version before."""

    reason: Text = Field(default="", examples=["better in the last three rounds"])
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

    number: int
    """Grows with every move; not consecutive."""
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
