"""The one pydantic base: frozen values, unknown fields refused."""

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """A frozen value that refuses unknown fields, so that a misspelt option is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Response(BaseModel):
    """A frozen value that ignores unknown fields, so that an older client reads a newer server."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)
