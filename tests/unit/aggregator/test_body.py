"""Bodies of reports, in whatever pieces they come."""

import asyncio
import hashlib
from collections.abc import Sequence

import pytest
from starlette.requests import Request
from starlette.types import Message

from fedrec_protocol.codec import MEDIA_TYPE
from services.aggregator.api.body import Announced, read_body
from services.aggregator.api.body_budget import BodyBudget
from services.aggregator.domain.errors import BodyIncomplete, BodyTooLarge

BODY = bytes(range(100))


def read(pieces: Sequence[bytes]) -> bytes:
    async def run() -> bytes:
        coming: list[Message] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        coming[-1]["more_body"] = False

        async def receive() -> Message:
            return coming.pop(0)

        request = Request({"type": "http", "headers": []}, receive)
        expected = Announced(MEDIA_TYPE, len(BODY), hashlib.sha256(BODY).digest(), None)
        async with BodyBudget(1000).reserve(len(BODY)) as room:
            return bytes(await read_body(request, expected, room))

    return asyncio.run(run())


@pytest.mark.parametrize(
    "pieces",
    [[BODY], [BODY, b""], [b"", BODY], [BODY[:30], BODY[30:]], [BODY[:30], b"", BODY[30:], b""]],
    ids=["whole", "end apart", "beginning apart", "two", "with gaps"],
)
def test_a_body_is_the_same_in_whatever_pieces_it_comes(pieces: list[bytes]) -> None:
    assert read(pieces) == BODY


def test_a_body_that_is_longer_or_shorter_than_announced_is_refused() -> None:
    with pytest.raises(BodyTooLarge):
        read([BODY, b"x"])
    with pytest.raises(BodyIncomplete):
        read([BODY[:30], b""])
