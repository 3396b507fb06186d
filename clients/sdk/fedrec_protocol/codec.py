"""Weights and reports as bytes: safetensors framing, read strictly.

The safetensors readers accept NaN, duplicate names, zero-sized tensors and headers of many megabytes.
A server may accept none of these, so the header is parsed here: capped, without duplicates, and its
tensors must tile the data exactly. The framing itself is the published format
(https://github.com/huggingface/safetensors#format): u64 header length, JSON header, data.
"""

import json
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.problems import Slug
from fedrec_protocol.tensors import DType, Tensors, TensorSpec, specs_of

MEDIA_TYPE = "application/vnd.safetensors"
MAXIMUM_HEADER_BYTES = 64 * 1024
_ALIGNMENT = 8

_HEADERS_REMEMBERED = 16

Body = bytes | bytearray | memoryview
_Place = tuple[str, np.dtype[Any], int, int, tuple[int, ...]]
"""Name, element type, number of elements, offset in the data and shape of a tensor."""


class TensorsRejected(ValueError):
    """The bytes are not the tensors that were asked for.

    Attributes:
        slug: which problem it is, from `fedrec_protocol.problems`.
    """

    def __init__(self, slug: Slug, detail: str) -> None:
        super().__init__(detail)
        self.slug = slug


def encode(tensors: Tensors, bfloat16: frozenset[str] = frozenset()) -> bytes:
    """Serialize tensors in their order; the same tensors always give the same bytes.

    `bfloat16` names the tensors whose uint16 elements are bfloat16.
    """
    specs = [
        spec.model_copy(update={"dtype": DType.BF16}) if spec.name in bfloat16 else spec
        for spec in specs_of({name: _wire_array(array, name in bfloat16) for name, array in tensors.items()})
    ]
    parts = [encode_header(specs)]
    parts += [
        np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        for array in tensors.values()
    ]
    return b"".join(parts)


def _wire_array(array: NDArray[Any], is_bfloat16: bool) -> NDArray[Any]:
    return array.view(np.int16) if is_bfloat16 else array


def encode_header(specs: list[TensorSpec]) -> bytes:
    """The length and header that come before the elements of `specs`, in this order."""
    entries: dict[str, Any] = {}
    offset = 0
    for spec in specs:
        end = offset + spec.size_bytes
        entries[spec.name] = {"dtype": spec.dtype, "shape": list(spec.shape), "data_offsets": [offset, end]}
        offset = end
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % _ALIGNMENT)
    return len(header).to_bytes(8, "little") + header


def encoded_size(specs: list[TensorSpec] | tuple[TensorSpec, ...]) -> int:
    """Bytes of a file that `encode` writes for these specifications."""
    return len(encode_header(list(specs))) + sum(spec.size_bytes for spec in specs)


def maximum_size(specs: list[TensorSpec] | tuple[TensorSpec, ...]) -> int:
    """Largest body that can hold these tensors: any header up to the cap, then exactly the elements."""
    return 8 + MAXIMUM_HEADER_BYTES + sum(spec.size_bytes for spec in specs)


def decode(body: Body, *, maximum_header_bytes: int = MAXIMUM_HEADER_BYTES) -> dict[str, NDArray[Any]]:
    """Read whatever tensors the bytes hold, as read-only views where the elements are aligned.

    A larger header may be allowed for bytes that one has written oneself.

    Raises:
        TensorsRejected: `malformed-tensors`.
    """
    view = memoryview(body).toreadonly()
    header, data = _split(view, maximum_header_bytes)
    specs = _tiled(header, len(data))
    return {spec.name: _elements(data[start : start + spec.size_bytes], spec) for spec, start in specs}


class ExactDecoder:
    """Reads exactly the expected tensors, in the expected order whatever the order in the bytes.

    For many bodies: it remembers what headers say. All reports of a round have the same one, as a rule; reading it
    takes longer than the numbers of a small model.
    """

    def __init__(self, expected: tuple[TensorSpec, ...]) -> None:
        self._expected = expected
        self._places = lru_cache(_HEADERS_REMEMBERED)(self._find_places)

    def decode(self, body: Body) -> dict[str, NDArray[Any]]:
        """Read-only views where the elements are aligned. Elements are not looked at: NaN and infinities pass.

        Raises:
            TensorsRejected: `malformed-tensors`, `missing-tensor`, `unexpected-tensor`, `wrong-shape` or
                `wrong-dtype`.
        """
        header, data = _split(memoryview(body).toreadonly())
        return {
            name: np.frombuffer(data, dtype, count, start).reshape(shape)
            for name, dtype, count, start, shape in self._places(header, len(data))
        }

    def _find_places(self, header: bytes, data_bytes: int) -> list[_Place]:
        found = {spec.name: (spec, start) for spec, start in _tiled(header, data_bytes)}
        wanted = {spec.name for spec in self._expected}
        for name in found:
            if name not in wanted:
                raise TensorsRejected(Slug.UNEXPECTED_TENSOR, f"tensor {name!r} is not in the manifest")
        places = []
        for spec in self._expected:
            if spec.name not in found:
                raise TensorsRejected(Slug.MISSING_TENSOR, f"tensor {spec.name!r} is missing")
            given, start = found[spec.name]
            if given.dtype is not spec.dtype:
                raise TensorsRejected(Slug.WRONG_DTYPE, f"tensor {spec.name!r} is {given.dtype}, not {spec.dtype}")
            if given.shape != spec.shape:
                raise TensorsRejected(
                    Slug.WRONG_SHAPE, f"tensor {spec.name!r} has shape {list(given.shape)}, not {list(spec.shape)}"
                )
            places.append((spec.name, spec.dtype.numpy, spec.element_count, start, spec.shape))
        return places


def decode_exactly(body: Body, expected: tuple[TensorSpec, ...]) -> dict[str, NDArray[Any]]:
    """Read exactly the expected tensors of one body: see `ExactDecoder`."""
    return ExactDecoder(expected).decode(body)


def tensor_names(body: Body) -> list[str]:
    """The names in a body, without reading any element.

    Raises:
        TensorsRejected: `malformed-tensors`.
    """
    return [spec.name for spec in read_specs(body)]


def read_specs(body: Body) -> tuple[TensorSpec, ...]:
    """What a body holds, in file order, without reading any element; the body may be a mapped file.

    Raises:
        TensorsRejected: `malformed-tensors`.
    """
    header, data = _split(memoryview(body).toreadonly())
    return tuple(spec for spec, _ in _tiled(header, len(data)))


def as_float32(array: NDArray[Any], dtype: DType) -> NDArray[np.float32]:
    """Elements as float32: bfloat16 is widened exactly, integers and float64 are rounded."""
    if dtype is DType.BF16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32, copy=False)


def _elements(data: memoryview, spec: TensorSpec) -> NDArray[Any]:
    return np.frombuffer(data, dtype=spec.dtype.numpy).reshape(spec.shape)


def _malformed(detail: str) -> TensorsRejected:
    return TensorsRejected(Slug.MALFORMED_TENSORS, detail)


def _split(view: memoryview, maximum_bytes: int = MAXIMUM_HEADER_BYTES) -> tuple[bytes, memoryview]:
    """The header, and the data behind it."""
    if len(view) < 8:
        raise _malformed("shorter than the 8-byte header length")
    length = int.from_bytes(view[:8], "little")
    if length > maximum_bytes:
        raise _malformed(f"header of {length} bytes; at most {maximum_bytes} are read")
    if len(view) < 8 + length:
        raise _malformed("the body ends inside its header")
    return bytes(view[8 : 8 + length]), view[8 + length :]


def _tiled(header: bytes, data_bytes: int) -> list[tuple[TensorSpec, int]]:
    """The tensors with their start offsets, in file order: they leave no gap in the data and do not overlap."""
    entries = _parse_json(header)
    placed = sorted((_placed(name, entry) for name, entry in entries.items()), key=lambda item: item[1])
    offset = 0
    for spec, start in placed:
        if start != offset:
            raise _malformed(f"tensor {spec.name!r} starts at {start}, not at {offset}")
        offset += spec.size_bytes
    if data_bytes != offset:
        raise _malformed(f"the tensors cover {offset} bytes of {data_bytes}")
    return placed


def _parse_json(header: bytes) -> dict[str, Any]:
    try:
        entries = json.loads(header.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise _malformed("the header is not JSON, or repeats a name") from error
    if not isinstance(entries, dict):
        raise _malformed("the header is not a JSON object")
    entries.pop("__metadata__", None)
    return entries


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("repeated name")
    return entries


def _placed(name: str, entry: Any) -> tuple[TensorSpec, int]:
    try:
        start, end = entry["data_offsets"]
        if set(entry) != {"dtype", "shape", "data_offsets"} or not _is_count(start) or not _is_count(end):
            raise ValueError
        if type(entry["shape"]) is not list or not all(_is_count(size) for size in entry["shape"]):
            raise ValueError
        spec = TensorSpec(name=name, dtype=DType(entry["dtype"]), shape=tuple(entry["shape"]))
    except (KeyError, TypeError, ValueError) as error:
        raise _malformed(f"the header's entry for {name[:80]!r} is not a tensor") from error
    if end - start != spec.size_bytes:
        raise _malformed(f"tensor {name!r} is given {end - start} bytes for {spec.size_bytes}")
    return spec, start


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**48
