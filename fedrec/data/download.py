"""Downloads of public data sets: the bytes that were pinned, or nothing."""

import hashlib
import tempfile
from pathlib import Path

import httpx

from fedrec.data.archives import unpack
from fedrec.data.interactions import DataError
from fedrec.data.public_sets import PublicSet

_TIMEOUT_SECONDS = 30.0
_LARGEST_EXPANSION = 20
"""Unpacked bytes of an archive, as a multiple of its own."""


def download(name: str, source: PublicSet, folder: Path) -> Path:
    """Fetch, check and unpack a data set; returns its folder, `folder / name`. What is there already stays.

    The archive is unpacked beside its place and moved there at the end, so that a folder is whole or absent.

    Raises:
        DataError: the address cannot be reached or answers otherwise, or the bytes are not the pinned ones.
        OSError: the folder cannot be written.
    """
    place = folder / name
    if place.exists():
        return place
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}-") as work:
        archive = Path(work) / "archive.zip"
        _fetch(source, archive)
        unpack(archive, Path(work) / "content", _LARGEST_EXPANSION * source.size_bytes).rename(place)
    return place


def _fetch(source: PublicSet, path: Path) -> None:
    digest, size = hashlib.sha256(), 0
    try:
        with (
            path.open("wb") as file,
            httpx.stream("GET", source.url, timeout=_TIMEOUT_SECONDS, follow_redirects=True) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise DataError(f"{source.url} answered {answer.status_code}")
            for chunk in answer.iter_bytes():
                size += len(chunk)
                if size > source.size_bytes:
                    raise DataError(
                        f"{source.url} is longer than the {source.size_bytes} bytes it should have: not used"
                    )
                digest.update(chunk)
                file.write(chunk)
    except httpx.HTTPError as error:
        raise DataError(
            f"{source.url} cannot be reached ({type(error).__name__}): "
            "download it elsewhere, unpack it, and give its folder in place of a name"
        ) from error
    if digest.hexdigest() != source.sha256:
        raise DataError(f"{source.url} has SHA-256 {digest.hexdigest()}, and not {source.sha256}: not used")
