"""Zip archives: unpacked within a folder, and no more bytes than they may have."""

import shutil
import zipfile
from pathlib import Path, PurePosixPath

from fedrec.data.interactions import DataError


def unpack(archive: Path, folder: Path, largest: int) -> Path:
    """Unpack the files of an archive; returns the folder in which they are: an archive usually holds one.

    Raises:
        DataError: no zip archive, more than `largest` bytes, or a file that would lie outside of the folder.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            if sum(member.file_size for member in members) > largest:
                raise DataError(f"{archive} would unpack to more than {largest} bytes: not used")
            for member in members:
                target = folder / _within(member.filename)
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as packed, target.open("wb") as file:
                    shutil.copyfileobj(packed, file)
    except (zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{archive} is not a zip archive: {error}") from error
    return _top(folder)


def _within(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f"the archive holds {name!r}, which lies outside of it: not used")
    return path


def _top(folder: Path) -> Path:
    inside = sorted(path for path in folder.iterdir() if path.name != "__MACOSX")
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder
