"""When devices can be asked: idle, charging and on an unmetered network, as platforms demand it."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fedrec.refused import Refused

DAY = 86_400.0
"""Seconds in a day."""


class Availability(Protocol):
    """Who can be asked, by the simulation's clock."""

    def available(self, people: NDArray[np.int64], seconds: float) -> NDArray[np.bool_]:
        """Whether each of these people can be asked `seconds` after the start, shape (n,)."""
        ...


class AlwaysAvailable:
    """Everybody, at any time."""

    def available(self, people: NDArray[np.int64], seconds: float) -> NDArray[np.bool_]:
        return np.ones(len(people), dtype=np.bool_)


class DailyCycle:
    """Everybody for some hours of the day, around an hour of their own.

    Args:
        number_of_people: Size of the population.
        seed: Seed of people's hours.
        hours: Length of the daily window, from 0 to 24.
        spread_hours: Standard deviation of the middle of the window about midnight of the clock.
    """

    def __init__(self, number_of_people: int, *, seed: int, hours: float = 8.0, spread_hours: float = 3.0) -> None:
        generator = np.random.Generator(np.random.Philox(key=seed))
        self._middle = generator.normal(0.0, spread_hours * 3600.0, number_of_people)
        self._half = hours * 1800.0

    def available(self, people: NDArray[np.int64], seconds: float) -> NDArray[np.bool_]:
        away = np.mod(seconds - self._middle[people] + DAY / 2, DAY) - DAY / 2  # nearest middle, in (-12 h, 12 h]
        return np.asarray(np.abs(away) <= self._half)


class AvailabilityTrace:
    """Everybody in the intervals that a trace lists; after its end it begins again.

    Args:
        people: Whose interval it is, shape (m,).
        starts: Beginnings in seconds, shape (m,).
        ends: Ends in seconds, after their beginnings, shape (m,).

    Raises:
        Refused: an interval that ends before it begins, or no interval at all.
    """

    def __init__(self, people: NDArray[np.int64], starts: NDArray[np.float64], ends: NDArray[np.float64]) -> None:
        if len(people) == 0 or not (starts < ends).all() or starts.min() < 0:
            raise Refused("a trace needs intervals that begin at 0 or later and end after they begin")
        self._people, self._starts, self._ends = people, starts, ends
        self._period = float(ends.max())

    @classmethod
    def read(cls, path: Path) -> "AvailabilityTrace":
        """Read lines `person,start,end` (person from 0, seconds), with a header.

        Raises:
            Refused: a line that is not three numbers, or an interval that is none.
        """
        try:
            rows = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
        except ValueError as error:
            raise Refused(f"{path}: {error}") from error
        if rows.shape[1] != 3:
            raise Refused(f"{path}: a line is person,start,end")
        return cls(rows[:, 0].astype(np.int64), rows[:, 1], rows[:, 2])

    def available(self, people: NDArray[np.int64], seconds: float) -> NDArray[np.bool_]:
        now = seconds % self._period
        here = self._people[(self._starts <= now) & (now < self._ends)]
        return np.isin(people, here)
