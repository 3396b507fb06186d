"""Sequence files: one line per user, `user item item ...`, oldest first."""

from pathlib import Path

from fedrec.data.interactions import Interactions, from_columns


def read_sequences(path: Path) -> Interactions:
    """Read a sequence file as SASRec, S3-Rec and LightGCN use it; a user without items is left out."""
    users: list[str] = []
    items: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        user, *sequence = line.split()
        users += [user] * len(sequence)
        items += sequence
    return from_columns(users, items)
