"""Sequence files: one line per user, `user item item ...`, oldest first."""

from pathlib import Path

from fedrec.data.interactions import Interactions, from_columns
from fedrec.data.text import open_text


def read_sequences(path: Path) -> Interactions:
    """Read a sequence file as SASRec, S3-Rec and LightGCN use it; a user without items is left out."""
    users: list[str] = []
    items: list[str] = []
    with open_text(path) as lines:
        for words in map(str.split, lines):
            users += words[:1] * (len(words) - 1)
            items += words[1:]
    return from_columns(users, items)
