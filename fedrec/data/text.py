"""Text files of data sets: plain or packed, in whatever encoding."""

import bz2
import codecs
import gzip
import io
import lzma
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TextIO, cast

from fedrec.data.interactions import DataError

_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_CHUNK_BYTES = 1 << 20


def unpacked_suffix(path: Path) -> str:
    """What the name of a file ends in, without the ending of a packer: `.csv` for `ratings.csv.gz`."""
    return (path.with_suffix("") if path.suffix in _OPENERS else path).suffix.lower()


@contextmanager
def open_text(path: Path, encoding: str | None = None) -> Iterator[TextIO]:
    """The lines of a file, unpacked where its name ends in `.gz`, `.bz2` or `.xz`; None finds the encoding.

    Raises:
        DataError: while reading: not packed so, or not text in this encoding.
    """
    try:
        found = encoding or _encoding_of(path)
        with _open_bytes(path) as content, io.TextIOWrapper(content, found, newline="") as lines:
            yield lines
    except (UnicodeDecodeError, gzip.BadGzipFile, lzma.LZMAError, EOFError) as error:
        raise DataError(f"{path}: {error}") from error


def _open_bytes(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", _OPENERS.get(path.suffix, open)(path, "rb"))


def _encoding_of(path: Path) -> str:
    """UTF-8 where all of it is, without a byte order mark; UTF-16 where a mark says so; else Latin-1, which any is."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _open_bytes(path) as content:
        chunk = content.read(_CHUNK_BYTES)
        if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        try:
            while chunk:
                if b"\0" in chunk:
                    raise DataError(f"{path}: not a file of text")
                decoder.decode(chunk)
                chunk = content.read(_CHUNK_BYTES)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8-sig"
