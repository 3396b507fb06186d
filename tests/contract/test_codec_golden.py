"""The bytes of a report, written out by hand: no release may change them."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from fedrec_protocol import codec
from fedrec_protocol.digest import content_digest

HEADER = (
    b'{"items":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},'
    b'"fedrec.examples":{"dtype":"I64","shape":[1],"data_offsets":[16,24]}}'
)
PADDED = HEADER + b" " * (-len(HEADER) % 8)
GOLDEN = struct.pack("<Q", len(PADDED)) + PADDED + struct.pack("<4f", 1.0, -2.5, 0.0, 3.0e-5) + struct.pack("<q", 7)
TENSORS: dict[str, NDArray[Any]] = {
    "items": np.array([[1.0, -2.5], [0.0, 3.0e-5]], np.float32),
    "fedrec.examples": np.array([7], np.int64),
}


def test_a_report_is_these_bytes() -> None:
    assert codec.encode(TENSORS) == GOLDEN


def test_these_bytes_are_this_report() -> None:
    decoded = codec.decode(GOLDEN)
    assert list(decoded) == list(TENSORS)
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(decoded[name], array, strict=True)


def test_the_digest_field_of_these_bytes() -> None:
    # `python -c "..." | openssl dgst -sha256 -binary | base64` gave the same.
    assert hashlib.sha256(GOLDEN).hexdigest() == "363a1b8c85bac78e9957c2eb186e108fc7bfc5bd21301df9c891aeedb35b63fa"
    assert content_digest(GOLDEN) == "sha-256=:NjobjIW6x46ZV8LrGG4Qj8e/xb0hMB35yJGu7bNbY/o=:"


def test_bfloat16_travels_as_its_upper_sixteen_bits() -> None:
    body = codec.encode({"items": np.array([0x3F80, 0xC020], np.uint16)}, bfloat16=frozenset({"items"}))
    assert b'"dtype":"BF16"' in body
    assert body.endswith(bytes([0x80, 0x3F, 0x20, 0xC0]))
    [spec] = codec.read_specs(body)
    np.testing.assert_array_equal(codec.as_float32(codec.decode(body)["items"], spec.dtype), [1.0, -2.5])


NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,30}", fullmatch=True)
DTYPES = st.sampled_from(["<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "i1", "u1"])
ARRAYS = DTYPES.flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=4, max_side=4)))


@given(st.dictionaries(NAMES, ARRAYS, min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_the_safetensors_library_reads_what_we_write(tensors: dict[str, NDArray[Any]]) -> None:
    read = safetensors.numpy.load(codec.encode(tensors))
    assert read.keys() == tensors.keys()
    for name, array in tensors.items():
        np.testing.assert_array_equal(read[name], array, strict=True)


@given(st.dictionaries(NAMES, ARRAYS, min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_we_read_what_the_safetensors_library_writes(tensors: dict[str, NDArray[Any]]) -> None:
    body = safetensors.numpy.save({name: np.ascontiguousarray(a).reshape(a.shape) for name, a in tensors.items()})
    read = codec.decode(body)
    assert read.keys() == tensors.keys()
    for name, array in tensors.items():
        np.testing.assert_array_equal(read[name], array, strict=True)


def test_metadata_of_other_writers_is_ignored() -> None:
    body = safetensors.numpy.save({"items": TENSORS["items"]}, metadata={"format": "pt"})
    assert list(codec.decode(body)) == ["items"]


def test_torch_state_dicts_written_by_the_library_are_read() -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save  # noqa: PLC0415 - torch is slow to import

    body = save({"w": torch.arange(6, dtype=torch.bfloat16).reshape(2, 3)})
    [spec] = codec.read_specs(body)
    np.testing.assert_array_equal(codec.as_float32(codec.decode(body)["w"], spec.dtype), [[0, 1, 2], [3, 4, 5]])
