"""Which files of a folder hold the interactions."""

import re
from pathlib import Path

from fedrec.data.interactions import DataError

KNOWN_FILES = ("ratings.csv", "ratings.dat", "u.data", "*.inter", "*.sequences.txt", "interactions.*", "behaviors.tsv")
"""What is looked for first, in this order."""
_ENDINGS = re.compile(r"\.(csv|tsv|txt|dat|data|json|jsonl|ndjson|inter|parquet|rating|ratings|edges)(\.(gz|bz2|xz))?$")
_PARTS = ("train", "valid", "val", "test")
_NOT_DATA = re.compile(r"readme|licen[cs]e", re.IGNORECASE)


def files_of(folder: Path) -> list[Path]:
    """The file of interactions, or its parts in the order of time: `train`, `valid`, `test`.

    Raises:
        DataError: none, or several that may be meant.
    """
    known = [file for pattern in KNOWN_FILES for file in sorted(folder.glob(pattern))]
    if known:
        return known[:1]
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and _ENDINGS.search(file.name.lower())]
    files = [file for file in files if not _NOT_DATA.search(file.name)]
    parts = [file for part in _PARTS for file in files if part in re.split(r"[._\-]", file.name.lower())]
    alike = [file for file in parts if parts[0].suffixes[-1:] == file.suffixes[-1:]]
    if len(alike) > 1:
        return alike
    if len(files) != 1:
        found = f": it holds {', '.join(file.name for file in files)}; give one of them" if files else ""
        raise DataError(f"{folder}: none of {', '.join(KNOWN_FILES)}, nor train and test{found}")
    return files
