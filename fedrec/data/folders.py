"""Which files of a folder hold the interactions."""

import re
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

from fedrec.data.interactions import DataError

KNOWN_FILES = ("ratings.csv", "ratings.dat", "u.data", "*.inter", "*.sequences.txt", "interactions.*", "behaviors.tsv")
"""What is looked for first, in this order."""
_ENDINGS = re.compile(r"\.(csv|tsv|txt|dat|data|json|jsonl|ndjson|inter|parquet|rating|ratings|edges)(\.(gz|bz2|xz))?$")
_PARTS = ("train", "valid", "val", "test")
_NOT_DATA = re.compile(r"readme|licen[cs]e", re.IGNORECASE)


def files_of(folder: Path, is_of_interactions: Callable[[Path], bool]) -> list[Path]:
    """The file of interactions, or its parts in the order of time: `train`, `valid`, `test`.

    Args:
        folder: Where to look.
        is_of_interactions: Tells such a file from others by what it holds; asked where names do not tell.

    Raises:
        DataError: none, or several that may be meant.
    """
    inside = sorted(each for each in folder.iterdir() if each.is_file())
    folders = [each for each in folder.iterdir() if each.is_dir()]
    if not inside and len(folders) == 1:
        return files_of(folders[0], is_of_interactions)
    known = [file for pattern in KNOWN_FILES for file in inside if fnmatch(file.name.lower(), pattern)]
    if known:
        return known[:1]
    files = [file for file in inside if _ENDINGS.search(file.name.lower()) and not _NOT_DATA.search(file.name)]
    parts = [file for part in _PARTS for file in files if part in re.split(r"[._\-]", file.name.lower())]
    alike = [file for file in parts if parts[0].suffixes[-1:] == file.suffixes[-1:]]
    if len(alike) > 1:
        return alike
    named = [file for file in files if is_of_interactions(file)] if len(files) > 1 else []
    files = named if len(named) == 1 else files
    if len(files) != 1:
        found = f": it holds {', '.join(file.name for file in files)}; give one of them" if files else ""
        raise DataError(f"{folder}: none of {', '.join(KNOWN_FILES)}, nor train and test{found}")
    return files
