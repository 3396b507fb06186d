"""Archives, zip or tar: unpacked within a folder, and no more bytes than they may have."""

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from fedrec.data.interactions import DataError

_TARS = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")


def is_archive(path: Path) -> bool:
    """Whether the name says that a file holds others."""
    return path.name.lower().endswith((".zip", *_TARS))


def unpack(archive: Path, folder: Path, largest: int) -> Path:
    """Unpack the files of an archive; returns the folder in which they are: an archive usually holds one.

    Raises:
        DataError: no archive, more than `largest` bytes, or a file that would lie outside of the folder.
    """
    opened = _tar if archive.name.lower().endswith(_TARS) else _zip
    try:
        with opened(archive) as members:
            if sum(member.size for member in members) > largest:
                raise DataError(f"{archive} would unpack to more than {largest} bytes: not used")
            for member in members:
                target = folder / _within(member.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with member.open() as packed, target.open("wb") as file:
                    shutil.copyfileobj(packed, file)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{archive} is not an archive of its kind: {error}") from error
    return _top(folder)


@dataclass(frozen=True)
class _Member:
    """A file of an archive."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


@contextmanager
def _zip(archive: Path) -> Iterator[list[_Member]]:
    with zipfile.ZipFile(archive) as opened:
        files = [each for each in opened.infolist() if not each.is_dir()]
        yield [_Member(each.filename, each.file_size, partial(opened.open, each)) for each in files]


@contextmanager
def _tar(archive: Path) -> Iterator[list[_Member]]:
    """Links and devices are left out: only what is a file is one of the data."""
    with tarfile.open(archive) as opened:
        files = [each for each in opened if each.isfile()]
        yield [_Member(each.name, each.size, partial(_content, opened, each)) for each in files]


def _content(opened: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    found = opened.extractfile(member)
    if found is None:
        raise tarfile.TarError(f"{member.name} cannot be read")
    return found


def _within(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f"the archive holds {name!r}, which lies outside of it: not used")
    return path


def _top(folder: Path) -> Path:
    inside = sorted(path for path in folder.iterdir() if path.name != "__MACOSX")
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder
