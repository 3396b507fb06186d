"""How manifests gain options without a flag day: an option that is off might as well not be there."""

from typing import Any

from pydantic import BaseModel, ValidationError, ValidatorFunctionWrapHandler
from pydantic_core import to_jsonable_python


def what_is_on(value: object) -> Any:
    """JSON of a manifest, or of a part, without the fields that are null or false.

    A digest is made of it, so that a release that adds an option does not change the digests of tasks without it.
    """
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        return {name: what_is_on(field) for name, field in fields.items() if field is not None and field is not False}
    if isinstance(value, tuple):
        return [what_is_on(item) for item in value]
    return to_jsonable_python(value)


def without_unknown_that_is_off(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """A newer server's manifest, as long as it uses nothing that this release does not know.

    Operators keep the strict reading: to them an unknown field is a misspelt one.

    Raises:
        ValidationError: an option is on that is unknown here, or anything else is wrong.
    """
    try:
        return validate(value)
    except ValidationError as error:
        unknown = [item for item in error.errors() if item["type"] == "extra_forbidden"]
        if not unknown or any(item["input"] is not None and item["input"] is not False for item in unknown):
            raise
        for item in unknown:
            value = _without(value, item["loc"])
        return validate(value)


def _without(value: Any, location: tuple[int | str, ...]) -> Any:
    """A copy of JSON without the field at this place."""
    step, *rest = location
    if isinstance(value, dict) and step in value:
        if not rest:
            return {name: field for name, field in value.items() if name != step}
        return {**value, step: _without(value[step], tuple(rest))}
    if isinstance(value, list) and isinstance(step, int):
        return [_without(item, tuple(rest)) if index == step else item for index, item in enumerate(value)]
    # A step that names a member of a union, and no place in the JSON.
    return _without(value, tuple(rest))
