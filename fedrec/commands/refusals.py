"""What somebody typed that cannot be done ends with a sentence about it."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import typer
from pydantic import ValidationError

from fedrec_protocol.base import reasons
from fedrec_recipes.catalogue import UnknownRecipe
from services.aggregator.domain.errors import InvalidManifest


@contextlib.contextmanager
def refusing_arguments() -> Iterator[None]:
    """Within the block a value that does not fit, or a file that cannot be used, is a refusal of what was typed.

    A missing key or index is nobody's typing error: such a defect keeps its traceback.
    """
    try:
        yield
    except ValidationError as problem:
        raise typer.BadParameter(reasons(problem)) from problem
    except (InvalidManifest, UnknownRecipe, OSError, ValueError) as problem:
        raise typer.BadParameter(str(problem)) from problem


def json_object(text: str, option: str) -> dict[str, Any]:
    """The JSON object that an option holds."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint=option) from error
    if not isinstance(value, dict):
        raise typer.BadParameter("not a JSON object", param_hint=option)
    return value
