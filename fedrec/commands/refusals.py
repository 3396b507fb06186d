"""What somebody typed that cannot be done ends with a sentence about it."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import typer
from pydantic import ValidationError

from fedrec.refused import Refused
from fedrec_protocol.base import reasons
from fedrec_recipes.catalogue import InvalidRecipeConfig, UnknownRecipe
from fedrec_recipes.metrics import UnknownMetric
from services.aggregator.domain.errors import InvalidManifest
from services.aggregator.domain.privacy.accountant import UnsupportedRelease
from services.aggregator.domain.privacy.poisson import CohortTooLarge

REFUSALS = (
    Refused,
    OSError,
    # In the words of the layers below, which know nothing of commands:
    InvalidManifest,
    UnknownRecipe,
    InvalidRecipeConfig,
    UnknownMetric,
    UnsupportedRelease,
    CohortTooLarge,
)
"""What may be said of something that was typed."""


@contextlib.contextmanager
def refusing_arguments() -> Iterator[None]:
    """Within the block a value that does not fit, or a file that cannot be used, is a refusal of what was typed.

    Whatever else goes wrong is nobody's typing error: such a defect keeps its traceback.
    """
    try:
        yield
    except ValidationError as problem:
        raise typer.BadParameter(reasons(problem)) from problem
    except REFUSALS as problem:
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
