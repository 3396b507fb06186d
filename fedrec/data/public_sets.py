"""Public data sets by name: where they are, and which bytes they are."""

from dataclasses import dataclass

GROUPLENS_TERMS = "research use under the licence in its README; acknowledge GroupLens"


@dataclass(frozen=True)
class PublicSet:
    """An archive that its publisher has frozen."""

    url: str
    size_bytes: int
    sha256: str
    """Of the archive, in hexadecimal."""
    terms: str
    """What its publisher asks for, in a few words."""


def _movielens(name: str, size_bytes: int, sha256: str) -> PublicSet:
    return PublicSet(f"https://files.grouplens.org/datasets/movielens/{name}.zip", size_bytes, sha256, GROUPLENS_TERMS)


# Sizes and digests as TensorFlow Datasets has pinned them for these very addresses, at commit
# 1c076ac3c19c8ea83e1d1a75e0623c9a699e0d7c, tensorflow_datasets/url_checksums/movielens.txt.
PUBLIC_SETS = {
    "ml-100k": _movielens("ml-100k", 4924029, "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229"),
    "ml-1m": _movielens("ml-1m", 5917549, "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20"),
    "ml-20m": _movielens("ml-20m", 198702078, "96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3"),
    "ml-25m": _movielens("ml-25m", 261978986, "8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa"),
    "ml-latest-small": _movielens(
        "ml-latest-small", 978202, "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436"
    ),
}
"""What `fedrec data download` knows. A publisher's file that changes is refused, not trusted."""
