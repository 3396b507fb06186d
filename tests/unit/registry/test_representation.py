"""Conditions, ranges and encodings of a download, by RFC 9110."""

import pytest

from services.model_registry.api.representation import represent
from services.model_registry.domain.errors import RangeNotSatisfiable
from services.model_registry.storage.weights import StoredWeights

DIGEST = "ab" * 32
TAG = f'"{DIGEST}"'
PLAIN = StoredWeights(DIGEST, 1000, "obj_plain", None, None)
BOTH = StoredWeights(DIGEST, 1000, "obj_plain", "obj_small", 100)


def test_the_whole_file_has_its_digest_as_a_strong_entity_tag_and_never_changes() -> None:
    chosen = represent(PLAIN, {})
    assert (chosen.status, chosen.object_key, chosen.start, chosen.end) == (200, "obj_plain", 0, 1000)
    assert chosen.headers["ETag"] == TAG
    assert chosen.headers["Content-Length"] == "1000"
    assert "immutable" in chosen.headers["Cache-Control"]
    assert chosen.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("field", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-999", 0, 1000),
        ("bytes=10-", 10, 1000),
        ("bytes=990-2000", 990, 1000),
        ("bytes=-10", 990, 1000),
        ("bytes=-5000", 0, 1000),
    ],
)
def test_one_range_is_answered_with_that_part(field: str, start: int, end: int) -> None:
    chosen = represent(PLAIN, {"range": field})
    assert (chosen.status, chosen.start, chosen.end) == (206, start, end)
    assert chosen.headers["Content-Range"] == f"bytes {start}-{end - 1}/1000"
    assert chosen.headers["Content-Length"] == str(end - start)


@pytest.mark.parametrize("field", ["bytes=1000-", "bytes=5000-6000", "bytes=-0"])
def test_a_range_outside_the_file_cannot_be_satisfied(field: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as refusal:
        represent(PLAIN, {"range": field})
    assert refusal.value.headers == {"Content-Range": "bytes */1000"}


@pytest.mark.parametrize(
    "field", ["", "bytes", "items=0-1", "bytes=5-2", "bytes=0-1,5-6", "bytes=x-", "bytes=-", "bytes=²-"]
)
def test_a_range_that_is_none_or_several_is_ignored(field: str) -> None:
    assert represent(PLAIN, {"range": field}).status == 200


def test_a_range_of_another_version_is_answered_with_the_whole_file() -> None:
    assert represent(PLAIN, {"range": "bytes=10-", "if-range": TAG}).status == 206
    assert represent(PLAIN, {"range": "bytes=10-", "if-range": '"other"'}).status == 200
    assert represent(PLAIN, {"range": "bytes=10-", "if-range": f"W/{TAG}"}).status == 200
    assert represent(PLAIN, {"range": "bytes=10-", "if-range": "Sun, 01 Mar 2026 12:00:00 GMT"}).status == 200


@pytest.mark.parametrize("field", [TAG, f'"other", {TAG}', f"W/{TAG}", "*"])
def test_who_has_the_file_is_told_so(field: str) -> None:
    chosen = represent(PLAIN, {"if-none-match": field, "range": "bytes=0-1"})
    assert (chosen.status, chosen.headers["ETag"]) == (304, TAG)


def test_who_has_another_file_gets_this_one() -> None:
    assert represent(PLAIN, {"if-none-match": f'"other", "{DIGEST[:-1]}"'}).status == 200


def test_the_compressed_copy_has_an_entity_tag_of_its_own() -> None:
    chosen = represent(BOTH, {"accept-encoding": "gzip, zstd;q=0.5"})
    assert (chosen.status, chosen.object_key, chosen.end) == (200, "obj_small", 100)
    assert chosen.headers["Content-Encoding"] == "zstd"
    assert chosen.headers["Content-Length"] == "100"
    assert chosen.headers["ETag"] == f'"{DIGEST}.zstd"'


def test_who_has_either_copy_needs_nothing_more() -> None:
    for tag in (TAG, f'"{DIGEST}.zstd"'):
        chosen = represent(BOTH, {"if-none-match": tag, "accept-encoding": "zstd"})
        assert (chosen.status, chosen.headers["ETag"]) == (304, tag)


@pytest.mark.parametrize("field", ["", "gzip", "zstd;q=0", "zstd; q=0.00", "xzstd", "*"])
def test_nobody_gets_a_compressed_copy_who_did_not_ask_for_it(field: str) -> None:
    assert represent(BOTH, {"accept-encoding": field}).object_key == "obj_plain"


def test_a_range_is_of_the_file_and_never_of_its_compressed_copy() -> None:
    chosen = represent(BOTH, {"accept-encoding": "zstd", "range": "bytes=500-"})
    assert (chosen.status, chosen.object_key, chosen.start) == (206, "obj_plain", 500)
    assert "Content-Encoding" not in chosen.headers
    resumed = represent(BOTH, {"accept-encoding": "zstd", "range": "bytes=50-", "if-range": f'"{DIGEST}.zstd"'})
    assert (resumed.status, resumed.object_key) == (200, "obj_plain")


def test_head_ignores_ranges() -> None:
    assert represent(PLAIN, {"range": "bytes=5000-"}, is_head=True).status == 200
