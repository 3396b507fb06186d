"""Downloads through HTTP: whole, resumed, known already, compressed."""

import asyncio
import hashlib
import random

import numpy as np
import pytest
import zstandard

from fedrec_protocol import codec
from services.model_registry.api.pieces import PIECE_BYTES, Pieces, Places
from services.model_registry.domain.errors import Overloaded
from tests.integration.registry.support import Registry, weights

LARGE = weights(1, elements=8 * 100_000)  # 3.2 MB: several pieces and chunks


@pytest.fixture
def url(films: Registry) -> str:
    return f"/v1/versions/{films.publish('films', LARGE)['version_id']}/weights"


def test_a_participant_downloads_what_was_published(films: Registry, url: str) -> None:
    answer = films.client.get(url, headers=films.as_participant("films"))
    assert answer.status_code == 200
    assert answer.content == LARGE
    assert answer.headers["content-type"] == codec.MEDIA_TYPE
    assert answer.headers["etag"] == f'"{hashlib.sha256(LARGE).hexdigest()}"'


def test_a_broken_download_goes_on_where_it_stopped(films: Registry, url: str) -> None:
    cut = 1_234_567
    headers = {"Range": f"bytes={cut}-", "If-Range": f'"{hashlib.sha256(LARGE).hexdigest()}"'}
    rest = films.send("GET", url, headers=headers)
    assert rest.status_code == 206
    assert rest.headers["content-range"] == f"bytes {cut}-{len(LARGE) - 1}/{len(LARGE)}"
    assert LARGE[:cut] + rest.content == LARGE


def test_any_range_is_the_slice_of_the_file(films: Registry, url: str) -> None:
    chosen = random.Random(5)
    edges = [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, len(LARGE) - 1]
    for start in edges:
        end = min(start + chosen.choice([1, 2, PIECE_BYTES, 2 * PIECE_BYTES + 1]), len(LARGE))
        answer = films.send("GET", url, headers={"Range": f"bytes={start}-{end - 1}"})
        assert answer.content == LARGE[start:end]


def test_a_range_behind_the_end_is_a_problem_that_states_the_size(films: Registry, url: str) -> None:
    answer = films.send("GET", url, headers={"Range": f"bytes={len(LARGE)}-"})
    assert (answer.status_code, answer.json()["slug"]) == (416, "range-not-satisfiable")
    assert answer.headers["content-range"] == f"bytes */{len(LARGE)}"


def test_weights_that_the_client_has_are_not_sent_again(films: Registry, url: str) -> None:
    tag = films.send("GET", url).headers["etag"]
    answer = films.send("GET", url, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)


def test_head_tells_the_size_without_the_file(films: Registry, url: str) -> None:
    answer = films.send("HEAD", url)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(LARGE))
    assert answer.headers["accept-ranges"] == "bytes"


def test_weights_that_compress_are_sent_small_to_who_accepts_it(films: Registry) -> None:
    zeros = codec.encode({"gram": np.zeros((500, 500), np.float32)})
    url = f"/v1/versions/{films.publish('films', zeros)['version_id']}/weights"
    small = films.send("GET", url, headers={"Accept-Encoding": "zstd"})
    assert small.headers["content-encoding"] == "zstd"
    assert int(small.headers["content-length"]) < len(zeros) / 100
    assert zstandard.decompress(small.content) == zeros
    assert films.send("GET", url, headers={"Accept-Encoding": "identity"}).headers["content-length"] == str(len(zeros))


def test_pieces_are_read_once_for_all_who_want_them() -> None:
    body = random.Random(1).randbytes(3 * PIECE_BYTES + 10)
    asked = []

    def read(key: str, start: int, end: int) -> bytes:
        asked.append((key, start))
        return body[start:end]

    async def download(pieces: Pieces) -> bytes:
        return b"".join([bytes(piece) async for piece in pieces.range("obj", 0, len(body))])

    async def several() -> list[bytes]:
        pieces = Pieces(read, capacity_bytes=2 * PIECE_BYTES)
        return await asyncio.gather(*(download(pieces) for _ in range(5)))

    assert asyncio.run(several()) == [body] * 5
    assert sorted(asked) == [("obj", number * PIECE_BYTES) for number in range(4)]


def test_a_read_that_fails_fails_for_everybody_who_waits_and_is_tried_again_later() -> None:
    outcomes: list[bytes | Exception] = [OSError("gone"), b"back"]

    def read(key: str, start: int, end: int) -> bytes:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def download(pieces: Pieces) -> bytes:
        return b"".join([bytes(piece) async for piece in pieces.range("obj", 0, 4)])

    async def several() -> list[object]:
        pieces = Pieces(read, capacity_bytes=PIECE_BYTES)
        first = await asyncio.gather(download(pieces), download(pieces), return_exceptions=True)
        return [*first, await download(pieces)]

    first, second, third = asyncio.run(several())
    assert isinstance(first, OSError)
    assert isinstance(second, OSError)
    assert third == b"back"


def test_more_downloads_than_places_are_asked_to_come_back() -> None:
    places = Places(1)
    with places.one(), pytest.raises(Overloaded), places.one():
        pass
    with places.one():
        pass
