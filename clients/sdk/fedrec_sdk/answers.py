"""Reading what a service answered."""

from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from fedrec_protocol.messages import CheckIn
from fedrec_sdk.errors import Unavailable

BodyT = TypeVar("BodyT", bound=BaseModel)

_CHECK_IN: TypeAdapter[CheckIn] = TypeAdapter(CheckIn)


def parse(kind: type[BodyT], body: bytes) -> BodyT:
    """The body as a message.

    Raises:
        Unavailable: it is something else. A captive portal or a proxy answers 200 with a page of its
            own, and goes away again.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise _unexpected(kind.__name__) from error


def parse_check_in(body: bytes) -> CheckIn:
    """The body as either answer to a check-in.

    Raises:
        Unavailable: it is something else.
    """
    try:
        return _CHECK_IN.validate_json(body)
    except ValidationError as error:
        raise _unexpected("CheckIn") from error


def _unexpected(wanted: str) -> Unavailable:
    return Unavailable(f"the answer is not a {wanted}: is this the address of a fedrec service?")
