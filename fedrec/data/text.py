"""Text files of data sets: plain or gzipped."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from fedrec.data.interactions import DataError


@contextmanager
def open_text(path: Path, encoding: str = "utf-8") -> Iterator[TextIO]:
    """The lines of a file, unpacked where its name ends in `.gz`.

    Raises:
        DataError: while reading: not gzip, or not text in this encoding.
    """
    try:
        with (
            gzip.open(path, "rt", encoding=encoding, newline="")
            if path.suffix == ".gz"
            else path.open(encoding=encoding, newline="")
        ) as lines:
            yield lines
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
        raise DataError(f"{path}: {error}") from error
