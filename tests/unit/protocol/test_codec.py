"""Reading tensors strictly: whatever arrives, the answer is the tensors or one refusal."""

from __future__ import annotations

import contextlib
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fedrec_protocol import codec
from fedrec_protocol.codec import MAXIMUM_HEADER_BYTES, TensorsRejected
from fedrec_protocol.problems import Slug
from fedrec_protocol.tensors import DType, TensorSpec

F32_2X2 = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
EXPECTED = (TensorSpec(name="a", shape=(2, 2)), TensorSpec(name="b", dtype=DType.I64, shape=(1,)))
GOOD = codec.encode({"a": np.ones((2, 2), np.float32), "b": np.array([3])})


def file_of(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


MALFORMED = {
    "nothing": b"",
    "half a length": b"\x08\x00\x00",
    "a length without a header": struct.pack("<Q", 100),
    "a header cut short": GOOD[:20],
    "data cut short": GOOD[:-1],
    "data too long": GOOD + b"\x00",
    "a length of 2**64 - 1": b"\xff" * 8 + b"{}",
    "a header one byte over the cap": file_of(b"{}" + b" " * (MAXIMUM_HEADER_BYTES - 1)),
    "garbage": bytes(range(256)) * 4,
    "not UTF-8": file_of(b'{"\xff":1}'),
    "not JSON": file_of(b"{'a': 1}"),
    "a list": file_of([F32_2X2]),
    "a number": file_of(1),
    "deeply nested": file_of(b"[" * 30_000),
    "a name twice": file_of(b'{"a":%b,"a":%b}' % ((json.dumps(F32_2X2).encode(),) * 2), bytes(16)),
    "an entry that is a list": file_of({"a": [1]}),
    "an entry that is null": file_of({"a": None}),
    "an unknown key": file_of({"a": F32_2X2 | {"extra": 1}}, bytes(16)),
    "no dtype": file_of({"a": {"shape": [2, 2], "data_offsets": [0, 16]}}, bytes(16)),
    "no shape": file_of({"a": {"dtype": "F32", "data_offsets": [0, 16]}}, bytes(16)),
    "no offsets": file_of({"a": {"dtype": "F32", "shape": [2, 2]}}, bytes(16)),
    "an unknown dtype": file_of({"a": F32_2X2 | {"dtype": "F8_E4M3"}}, bytes(16)),
    "a dtype that is a list": file_of({"a": F32_2X2 | {"dtype": ["F32"]}}, bytes(16)),
    "a negative dimension": file_of({"a": F32_2X2 | {"shape": [-2, -2]}}, bytes(16)),
    "a dimension of zero": file_of({"a": F32_2X2 | {"shape": [0], "data_offsets": [0, 0]}}),
    "a fractional dimension": file_of({"a": F32_2X2 | {"shape": [2.0, 2]}}, bytes(16)),
    "a dimension that is true": file_of({"a": F32_2X2 | {"shape": [True, 4]}}, bytes(16)),
    "a shape that is an object": file_of({"a": F32_2X2 | {"shape": {}, "data_offsets": [0, 4]}}, bytes(4)),
    "a shape that is text": file_of({"a": F32_2X2 | {"shape": "", "data_offsets": [0, 4]}}, bytes(4)),
    "nine dimensions": file_of({"a": F32_2X2 | {"shape": [1] * 8 + [4]}}, bytes(16)),
    "a rank of ten thousand": file_of({"a": F32_2X2 | {"shape": [1] * 10_000}}, bytes(4)),
    "a shape that overflows 64 bits": file_of({"a": F32_2X2 | {"shape": [2**40, 2**40]}}, bytes(16)),
    "a dimension of 5000 digits": file_of(
        json.dumps({"a": F32_2X2}).encode().replace(b"[2, 2]", b"[" + b"9" * 5000 + b"]")
    ),
    "offsets that do not fit": file_of({"a": F32_2X2 | {"data_offsets": [0, 12]}}, bytes(16)),
    "offsets backwards": file_of({"a": F32_2X2 | {"data_offsets": [16, 0]}}, bytes(16)),
    "negative offsets": file_of({"a": F32_2X2 | {"data_offsets": [-16, 0]}}, bytes(16)),
    "three offsets": file_of({"a": F32_2X2 | {"data_offsets": [0, 8, 16]}}, bytes(16)),
    "a gap": file_of({"a": F32_2X2 | {"data_offsets": [4, 20]}}, bytes(20)),
    "an overlap": file_of({"a": F32_2X2, "b": F32_2X2 | {"data_offsets": [8, 24]}}, bytes(24)),
    "a name that is a path": file_of({"../a": F32_2X2}, bytes(16)),
    "an empty name": file_of({"": F32_2X2}, bytes(16)),
    "a lone surrogate in a name": file_of(b'{"\\ud800":%b}' % json.dumps(F32_2X2).encode(), bytes(16)),
    "a name of 201 characters": file_of({"a" * 201: F32_2X2}, bytes(16)),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_files_are_refused(body: bytes) -> None:
    with pytest.raises(TensorsRejected) as refused:
        codec.decode(body)
    assert refused.value.slug is Slug.MALFORMED_TENSORS
    with pytest.raises(TensorsRejected):
        codec.decode_exactly(body, EXPECTED)


def test_a_header_may_be_as_long_as_the_cap() -> None:
    text = json.dumps({"a": F32_2X2}).encode()
    body = file_of(text + b" " * (MAXIMUM_HEADER_BYTES - len(text)), bytes(16))
    assert len(body) == codec.maximum_size([TensorSpec(name="a", shape=(2, 2))])
    assert codec.tensor_names(body) == ["a"]


def test_tensors_come_in_the_expected_order_whatever_the_order_in_the_file() -> None:
    body = codec.encode({"b": np.array([3]), "a": np.ones((2, 2), np.float32)})
    assert list(codec.decode_exactly(body, EXPECTED)) == ["a", "b"]
    assert [spec.name for spec in codec.read_specs(body)] == ["b", "a"]


WRONG: dict[str, tuple[dict[str, Any], Slug]] = {
    "missing": ({"a": np.ones((2, 2), np.float32)}, Slug.MISSING_TENSOR),
    "unexpected": (
        {"a": np.ones((2, 2), np.float32), "b": np.array([3]), "c": np.array([1.0])},
        Slug.UNEXPECTED_TENSOR,
    ),
    "transposed": ({"a": np.ones((4, 1), np.float32), "b": np.array([3])}, Slug.WRONG_SHAPE),
    "flat": ({"a": np.ones(4, np.float32), "b": np.array([3])}, Slug.WRONG_SHAPE),
    "wider": ({"a": np.ones((2, 2)), "b": np.array([3])}, Slug.WRONG_DTYPE),
    "of another kind": ({"a": np.ones((2, 2), np.int32), "b": np.array([3])}, Slug.WRONG_DTYPE),
}


@pytest.mark.parametrize(("tensors", "slug"), WRONG.values(), ids=WRONG.keys())
def test_only_exactly_the_expected_tensors_are_read(tensors: dict[str, Any], slug: Slug) -> None:
    with pytest.raises(TensorsRejected) as refused:
        codec.decode_exactly(codec.encode(tensors), EXPECTED)
    assert refused.value.slug is slug


def test_what_was_read_cannot_be_written_to() -> None:
    assert not codec.decode(bytearray(GOOD))["a"].flags.writeable


def test_the_announced_size_is_the_size() -> None:
    assert codec.encoded_size(EXPECTED) == len(GOOD)
    assert len(GOOD) <= codec.maximum_size(EXPECTED)


@given(st.binary(max_size=300))
@example(b"\x02" + bytes(7) + b"{}")
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_tensors_or_refused(body: bytes) -> None:
    read_or_refused(body)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner))
ENTRY = st.fixed_dictionaries(
    {"dtype": st.sampled_from(list(DType)) | JSON, "shape": st.lists(st.integers(-1, 4)) | JSON, "data_offsets": JSON}
)


@given(st.dictionaries(st.text(max_size=12), ENTRY | JSON, max_size=4), st.binary(max_size=64))
@settings(max_examples=100, deadline=None)
def test_any_header_is_tensors_or_refused(header: dict[str, Any], data: bytes) -> None:
    read_or_refused(file_of(header, data))


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_one_changed_byte_is_tensors_or_refused(place: int, value: int) -> None:
    read_or_refused(GOOD[:place] + bytes([value]) + GOOD[place + 1 :])


def read_or_refused(body: bytes) -> None:
    for read in (codec.decode, codec.read_specs, codec.tensor_names, lambda b: codec.decode_exactly(b, EXPECTED)):
        with contextlib.suppress(TensorsRejected):
            read(body)
