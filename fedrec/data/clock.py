"""Times as data sets write them, as seconds since the epoch."""

from array import array
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from fedrec.data.interactions import DataError

ISO_8601 = "ISO 8601"
DAYS = "days as yyyymmdd"
_FORMATS = (
    ISO_8601,
    *("%Y-%m-%d %H:%M:%S UTC", "%a %b %d %H:%M:%S %z %Y", "%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S"),
    *("%m %d, %Y", "%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y"),
    *("%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d-%m-%Y", "%m-%d-%Y"),
    *(
        f"{date}{of_day}"
        for date in ("%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y")
        for of_day in ("", " %H:%M", " %H:%M:%S", " %I:%M:%S %p", " %I:%M %p")
    ),
)
_EARLIEST, _LATEST = 5e8, 4.2e9
"""Seconds of 1985 and 2103: where a number without a unit is taken for a time."""
_PER_SECOND = {"seconds": 1.0, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}


def look_like_times(values: Sequence[str]) -> bool:
    """Whether all of some cells are dates, or numbers of the size of today's clocks."""
    numbers = [_number(value) for value in values]
    if not values or len({number is None for number in numbers}) > 1:
        return False
    if numbers[0] is not None:
        middle = float(np.median([number for number in numbers if number is not None]))
        is_now = any(_EARLIEST <= middle / scale <= _LATEST for scale in _PER_SECOND.values())
        return is_now or _days(np.array(numbers, dtype=np.float64)) is not None
    return bool(_formats_of(values))


class Clock:
    """Collects a column of times, and says at the end what they are.

    The format of dates follows from all of them: 3/4/2024 alone may be in March or in April.
    """

    def __init__(self, time_format: str | None) -> None:
        self._formats = _FORMATS if time_format is None else (time_format,)
        self._always_text = time_format is not None
        self._values = array("d")
        self._codes = array("q")  # which text a value is of; -1 for a number
        self._texts: dict[str, int] = {}
        self._lines: list[int] = []

    def add(self, text: str, line: int) -> None:
        """The time of the next row."""
        number = None if self._always_text else _number(text)
        self._values.append(0.0 if number is None else number)
        if number is not None:
            self._codes.append(-1)
            return
        if text not in self._texts:
            self._texts[text] = len(self._texts)
            self._lines.append(line)
        self._codes.append(self._texts[text])

    def seconds(self, name: str) -> tuple[NDArray[np.float64], str]:
        """All times as seconds since the epoch, and what they were, in words.

        Raises:
            DataError: a time that is neither a number nor a date, or dates that can be read in two ways.
        """
        values = np.array(self._values, dtype=np.float64)
        if not self._texts:
            days, unit = _days(values), _unit(values)
            return (values / _PER_SECOND[unit], unit) if days is None else (days, DAYS)
        codes = np.array(self._codes)
        parsed, time_format = self._dates(name)
        values[codes >= 0] = parsed[codes[codes >= 0]]
        return values, time_format

    def _dates(self, name: str) -> tuple[NDArray[np.float64], str]:
        remaining: Sequence[str] = self._formats
        for text, line in zip(self._texts, self._lines, strict=True):
            left = [each for each in remaining if _parsed(text, each) is not None]
            if not left:
                expected = f"a date like {remaining[0]}" if len(remaining) == 1 else "a number or a date in ISO 8601"
                raise DataError(f"{name}, line {line}: the time {text!r} is not {expected}: --time-format says how")
            remaining = left
        columns = [np.array([_parsed(text, each) for text in self._texts], dtype=np.float64) for each in remaining]
        different = [each for each, column in zip(remaining, columns, strict=True) if (column != columns[0]).any()]
        if different:
            raise DataError(
                f"{name}: times such as {next(iter(self._texts))!r} can be read as {remaining[0]} and as "
                f"{different[0]}: say which with --time-format '{remaining[0]}'"
            )
        return columns[0], remaining[0]


def _unit(values: NDArray[np.float64]) -> str:
    middle = float(np.median(values)) if len(values) else 0.0
    return next((unit for unit, scale in _PER_SECOND.items() if middle / scale <= _LATEST), "seconds")


def _days(values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Seconds of numbers such as 20240131; None where they are no days of these centuries."""
    if not len(values) or not ((values >= 19000101) & (values <= 21001231)).all():
        return None
    different, place = np.unique(values, return_inverse=True)
    parsed = [_parsed(f"{value:.0f}", "%Y%m%d") if value == int(value) else None for value in different.tolist()]
    known = np.array([each for each in parsed if each is not None], dtype=np.float64)
    return known[place] if len(known) == len(parsed) else None


def _formats_of(texts: Iterable[str]) -> list[str]:
    remaining = list(_FORMATS)
    for text in dict.fromkeys(texts):
        remaining = [each for each in remaining if _parsed(text, each) is not None]
    return remaining


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _parsed(text: str, time_format: str) -> float | None:
    """Seconds since the epoch; a date without a time zone is in UTC."""
    try:
        when = datetime.fromisoformat(text) if time_format == ISO_8601 else datetime.strptime(text, time_format)  # noqa: DTZ007 - UTC below
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
