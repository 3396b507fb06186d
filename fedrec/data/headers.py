"""Which column is what, by the names that public data sets use."""

from collections.abc import Sequence
from pathlib import Path

from fedrec.data.interactions import DataError
from fedrec.data.tabular import Columns

_USER = ("user", "userid", "uid", "customerid", "visitorid", "reviewerid")
_ITEM = ("item", "itemid", "iid", "movieid", "productid", "trackid", "artistid", "bookid", "parentasin", "asin")
_TIME = ("time", "timestamp", "unixreviewtime", "ts", "createdat", "eventtime", "datetime", "date")


def columns_of(path: Path, header: Sequence[str]) -> Columns:
    """The columns of users, items and, if there is one, times.

    Names are compared without case, underscores, spaces, and the types that RecBole appends: `user_id:token` is
    `userid`.

    Raises:
        DataError: no column, or more than one, has a name that is known.
    """
    user, item = (_only(path, header, names, what) for names, what in ((_USER, "user"), (_ITEM, "item")))
    return Columns(user, item, _only(path, header, _TIME, "time") if _matches(header, _TIME) else None)


def _only(path: Path, header: Sequence[str], names: Sequence[str], what: str) -> str:
    found = _matches(header, names)
    if len(found) != 1:
        problem = "no column" if not found else f"columns {', '.join(found)}"
        raise DataError(
            f"{path}: {problem} for the {what}: the header is {', '.join(header)}; name one of them {what!r}"
        )
    return found[0]


def _matches(header: Sequence[str], names: Sequence[str]) -> list[str]:
    """The columns with the first of the names that occurs."""
    plain = [name.partition(":")[0].replace("_", "").replace(" ", "").lower() for name in header]
    known = next((name for name in names if name in plain), None)
    return [column for column, name in zip(header, plain, strict=True) if name == known]
