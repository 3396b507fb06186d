"""The one pydantic base: frozen values, unknown fields refused."""

from pydantic import BaseModel, ConfigDict, ValidationError


class Message(BaseModel):
    """A frozen value that refuses unknown fields, so that a misspelt option is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Response(BaseModel):
    """A frozen value that ignores unknown fields, so that an older client reads a newer server."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


def reasons(error: ValidationError) -> str:
    """What is wrong, field by field, on one line; the first five."""
    return "; ".join(
        ": ".join(filter(None, (".".join(map(str, item["loc"])), item["msg"]))) for item in error.errors()[:5]
    )
