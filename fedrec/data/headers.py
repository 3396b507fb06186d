"""What a column holds, by the names that public data sets and shops use."""

import re
from collections.abc import Iterator, Sequence

_WORDS = {
    "user": (
        *("user", "customer", "visitor", "reviewer", "member", "account", "client", "person", "profile", "subscriber"),
        *("consumer", "buyer", "shopper", "reader", "listener", "viewer", "player", "learner", "student", "patient"),
        *("author", "steam", "msno", "household", "device", "cookie", "who", "session"),
    ),
    "item": (
        *("item", "movie", "film", "product", "parentasin", "asin", "isbn", "sku", "stock", "article", "book", "game"),
        *("app", "track", "song", "album", "artist", "business", "venue", "poi", "location", "place", "anime", "manga"),
        *("recipe", "news", "video", "show", "series", "podcast", "episode", "content", "document", "post", "pin"),
        *("listing", "offer", "goods", "good", "restaurant", "hotel", "course", "beer", "wine", "merchant", "brand"),
        *("url", "resource", "what", "title"),
    ),
}
_ENDINGS = ("uniqueid", "id", "uuid", "key", "hash", "idx", "index", "number", "num", "no", "code", "", "name")
"""What may follow such a word; an id is preferred to a name."""
_SHORT = {"user": ("uid",), "item": ("iid", "aid", "itemids")}
_TIME = (
    *("time", "timestamp", "ts", "unixreviewtime", "unixtime", "unixtimestamp", "eventtime", "eventtimestamp"),
    *(
        "timems",
        "timestampms",
        "timestamps",
        "datetime",
        "date",
        "when",
        "createdat",
        "created",
        "createdon",
        "tdat",
        "dateadded",
        "addedat",
        "playedat",
    ),
    *("listenedat", "watchedat", "viewedat", "clickedat", "visitedat", "ratedat", "submitted", "submittedon"),
)
_OF_TIME = frozenset({"time", "timestamp", "date", "datetime", "dt"})
_OF_THE_ITEM = frozenset(
    {"release", "released", "birth", "publish", "published", "publication", "expiry", "play", "run"}
)
"""A date with one of these words is not that of an interaction."""
_RATING = (
    *("rating", "overall", "score", "stars", "starrating", "rate", "bookrating", "reviewscore", "reviewoverall"),
    *("reviewrating", "ratingvalue", "userrating", "myrating", "preference"),
)
_LABEL = ("label", "click", "clicked", "isclick", "isclicked", "islike", "liked")


def users_and_items(names: Sequence[str], what: str) -> list[int]:
    """Columns whose name says that they hold the user, or the item; the best first.

    Names are compared without case, punctuation, and the types that RecBole appends: `user_id:token` is `userid`.
    """
    return _in_order(names, [*_short_and_long(what)])


def times(names: Sequence[str]) -> list[int]:
    """Columns whose name says that they hold the time of an interaction; the best first."""
    known = _in_order(names, _TIME)
    return known or [
        position
        for position, name in enumerate(names)
        if (words := set(_words_of(name))) & _OF_TIME and not words & _OF_THE_ITEM
    ]


def ratings(names: Sequence[str]) -> list[int]:
    """Columns whose name says that they hold a rating; the best first."""
    return _in_order(names, _RATING)


def labels(names: Sequence[str]) -> list[int]:
    """Columns whose name says that they tell interactions (1) from what was only shown (0); the best first."""
    return _in_order(names, _LABEL)


def plain(name: str) -> str:
    """A name without case, punctuation, and RecBole's type."""
    return "".join(character for character in name.partition(":")[0].lower() if character.isalnum())


def _short_and_long(what: str) -> Iterator[str]:
    words = _WORDS[what]
    first = words[0]
    yield from (first + ending for ending in _ENDINGS)
    yield from _SHORT[what]
    yield from (word + ending for word in words[1:] for ending in _ENDINGS)
    yield from (word + "s" for word in words)  # last, since such a name may mean how many


def _in_order(names: Sequence[str], known: Sequence[str]) -> list[int]:
    rank = {name: place for place, name in reversed(list(enumerate(known)))}
    found = [(rank[each], position) for position, each in enumerate(map(plain, names)) if each in rank]
    return [position for _, position in sorted(found)]


def _words_of(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name.partition(":")[0])]
