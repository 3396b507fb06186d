"""What is trained on which data."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.quality.data import QualityData, gowalla, leave_one_out, movielens_1m, pfedrec_split
from benchmarks.quality.training import Stage

SEEDS = (0, 1, 2, 3, 4)
ONE = (0,)
"""For what has no randomness."""


@dataclass(frozen=True)
class Entry:
    """One model: trained as devices would, and centrally where that is something else."""

    model: str
    stages: tuple[Stage, ...] = ()
    """A chain of tasks."""
    members: tuple[tuple[Stage, ...], ...] = ()
    """In place of them: of `combined`, the chains of its members; trained anew with everything if the fit says so."""
    fit: str = "train"
    seeds: tuple[int, ...] = ONE
    with_central: bool = False
    """Whether central training of the last stage is a row too."""


POPULARITY = Entry("popularity", (Stage("popularity"),))
EASE = Entry("ease", (Stage("ease"),), with_central=True)
SLIT = Entry("slit", (Stage("slit"),))
GFCF = Entry("gfcf", (Stage("gfcf"),))
BLEND = Entry("blend", (Stage("blend"),))
BLEND_REFITTED = Entry("blend", (Stage("blend", holdout=0),), fit="train + validation")
SKETCHED = Entry("sketched-slit", (Stage("sketched-slit"),), seeds=SEEDS)
SKETCHED_512 = tuple(
    Entry(
        "sketched-slit, 512 columns",
        (Stage("sketched-slit", {"dimension": 512}, holdout=holdout),),
        fit=fit,
        seeds=SEEDS,
    )
    for holdout, fit in ((1, "train"), (0, "train + validation"))
)
HASHED, HASHED_REFITTED = (
    Entry("hashed-pairs", (Stage("hashed-pairs", holdout=holdout),), fit=fit)
    for holdout, fit in ((1, "train"), (0, "train + validation"))
)
FILTER = Entry("sketched-gfcf", (Stage("sketched-gfcf"),))
PRIVATE = tuple(
    Entry("neighbours, differentially private", (Stage("neighbours", epsilon=epsilon),), seeds=SEEDS)
    for epsilon in (1.0, 5.0, 10.0)
)
MF = Entry("mf", (Stage("mf"),), seeds=SEEDS, with_central=True)
ALS = Entry("als", (Stage("als"),), seeds=SEEDS, with_central=True)
AUTOENCODER = Entry("autoencoder", (Stage("autoencoder"),), seeds=SEEDS, with_central=True)
GRADIENT = tuple(
    Entry(name, (Stage(name),), seeds=SEEDS, with_central=True)
    for name in ("bpr", "ncf", "multvae", "two-tower", "sasrec")
)
_LARGE: dict[str, Any] = {
    "dimension": 128,
    "blocks": 2,
    "window": 200,
    "dropout": 0.2,
    "negatives": 512,
    "initial_scale": 0.02,
}
SASREC_LARGE = Entry(
    "sasrec, 2 blocks of 128",
    (
        Stage("sasrec", _LARGE, rounds=1000, cohort=128, check_every=250, learning_rate=0.0025),
        Stage("sasrec", _LARGE, rounds=200, cohort=128, check_every=200, learning_rate=0.0008),
    ),
)
COMBINED, COMBINED_REFITTED = (
    Entry("combined: blend, sasrec", members=(BLEND.stages, GRADIENT[-1].stages), fit=fit)
    for fit in ("train", "train + validation")
)
COMBINED_LARGE, COMBINED_LARGE_REFITTED = (
    Entry("combined: blend, sasrec of 2 blocks of 128", members=(BLEND.stages, SASREC_LARGE.stages), fit=fit)
    for fit in ("train", "train + validation")
)

_LINEAR = (POPULARITY, EASE, SLIT, GFCF, BLEND, BLEND_REFITTED)


@dataclass(frozen=True)
class Table:
    """A data set and its models."""

    slug: str
    """For the command line."""
    load: Callable[[Path], QualityData]
    """From the folder that holds all data sets."""
    entries: tuple[Entry, ...]
    protocol: str
    """In words, for the page."""
    metrics: tuple[str, str] = ("HR@10", "NDCG@10")


_LEAVE_ONE_OUT = "each person's last item tests, the one before validates; full ranking of all unseen items"
_PFEDREC = f"split of PFedRec: {_LEAVE_ONE_OUT}; beside it the published 99 negatives"

TABLES = (
    Table(
        "ml-latest-small",
        lambda folder: leave_one_out(folder / "ml-latest-small", "MovieLens latest small", minimum_support=5),
        (*_LINEAR, MF, ALS, AUTOENCODER, *GRADIENT, COMBINED, COMBINED_REFITTED),
        f"items with at least 5 ratings; {_LEAVE_ONE_OUT}",
    ),
    Table(
        "ml-100k",
        partial(pfedrec_split, subfolder="ml-100k", name="MovieLens-100K", number_of_items=1682),
        (*_LINEAR, MF, ALS, AUTOENCODER, *GRADIENT, COMBINED, COMBINED_REFITTED),
        _PFEDREC,
    ),
    Table(
        "ml-1m",
        movielens_1m,
        (*_LINEAR, SKETCHED, *PRIVATE, MF, ALS, SASREC_LARGE, COMBINED_LARGE, COMBINED_LARGE_REFITTED),
        f"split of NCF: {_LEAVE_ONE_OUT}; beside it the published 99 negatives",
    ),
    Table(
        "lastfm",
        lambda folder: leave_one_out(folder / "s3rec" / "LastFM.txt", "LastFM"),
        (*_LINEAR, HASHED, HASHED_REFITTED, MF, ALS, COMBINED, COMBINED_REFITTED),
        f"sequences of S3-Rec: {_LEAVE_ONE_OUT}",
    ),
    Table(
        "amazon-video",
        partial(pfedrec_split, subfolder="amazon-instant-video", name="Amazon Instant Video", number_of_items=11_830),
        (POPULARITY, EASE, BLEND, BLEND_REFITTED, HASHED, HASHED_REFITTED, *SKETCHED_512),
        _PFEDREC,
    ),
    Table(
        "beauty",
        lambda folder: leave_one_out(folder / "s3rec" / "Beauty.txt", "Amazon Beauty"),
        (POPULARITY, EASE, BLEND, BLEND_REFITTED, HASHED, HASHED_REFITTED, *SKETCHED_512),
        f"sequences of S3-Rec: {_LEAVE_ONE_OUT}",
    ),
    Table(
        "gowalla",
        gowalla,
        (POPULARITY, EASE, GFCF, FILTER),
        "split of LightGCN, several test items each; full ranking of all unseen items; no order of time, no "
        "validation: shipped defaults",
        metrics=("Recall@20", "NDCG@20"),
    ),
)
