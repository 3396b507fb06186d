"""Request and response bodies of the model registry, as JSON."""

import json
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, FiniteFloat, JsonValue, StringConstraints

from fedrec_protocol.base import Message, Response
from fedrec_protocol.manifest import Name
from fedrec_protocol.tensors import TensorSpec

MAXIMUM_COUNT = 2**62
MAXIMUM_STATEMENT_BYTES = 64 * 1024

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in lower-case hexadecimal."""

Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=2000)]
"""Prose, of at most 2000 characters; NUL is refused because databases and log readers trip over it."""

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-]{1,200}$")]
"""An opaque id."""

MetricName = Annotated[str, StringConstraints(pattern=r"^[^\x00]{1,200}$")]
"""A metric such as `hr@10`."""


def _storable(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    text = json.dumps(value, allow_nan=False)  # NaN and infinities are not JSON
    if len(text) > MAXIMUM_STATEMENT_BYTES:
        raise ValueError(f"larger than {MAXIMUM_STATEMENT_BYTES} bytes as JSON")
    if "\\u0000" in text:
        raise ValueError("holds a NUL character")
    return value


Statement = Annotated[dict[str, JsonValue], AfterValidator(_storable)]
"""A JSON object of at most 64 KiB that any JSON store can keep."""


class ModelRequest(Message):
    """Make a model: a name under which versions are published."""

    name: Name
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
