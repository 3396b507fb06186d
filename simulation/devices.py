"""How long devices take for a round, and which of them fall silent."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

NEVER = np.inf
"""The time of a report that does not come."""


@dataclass(frozen=True)
class Load:
    """What a round asks of some devices."""

    examples: NDArray[np.int64]
    """Examples to train on, shape (n,)."""
    download_bytes: int
    """Size of the base version."""
    upload_bytes: int
    """Size of a report."""


class Devices(Protocol):
    """The devices of a population."""

    def seconds(self, round_number: int, people: NDArray[np.int64], load: Load) -> NDArray[np.float64]:
        """Time from assignment to report for each of these people, shape (n,); `NEVER` for a dropout.

        The same round and person always give the same time.
        """
        ...


class IdealDevices:
    """Every report arrives at once."""

    def seconds(self, round_number: int, people: NDArray[np.int64], load: Load) -> NDArray[np.float64]:
        return np.zeros(len(people))


class HeterogeneousDevices:
    """Devices whose speed and connection differ from person to person, by log-normal factors.

    Which devices are slow is drawn once, from the seed: the same people are stragglers in every round.

    Args:
        number_of_people: Size of the population.
        seed: Seed of the draw.
        spread: Standard deviation of the natural logarithm of speed; 0 makes all devices equal. With 1,
            a device at the 95th percentile is 5 times as fast as the median one.
        examples_per_second: Training speed of the median device.
        download_rate: Of the median connection, in bytes per second.
        upload_rate: Likewise.
    """

    def __init__(
        self,
        number_of_people: int,
        *,
        seed: int,
        spread: float = 0.8,
        examples_per_second: float = 100.0,
        download_rate: float = 2.5e6,
        upload_rate: float = 0.6e6,
    ) -> None:
        generator = np.random.Generator(np.random.Philox(key=seed))
        self._examples_per_second, self._download_rate, self._upload_rate = (
            median * np.exp(spread * generator.standard_normal(number_of_people))
            for median in (examples_per_second, download_rate, upload_rate)
        )

    def seconds(self, round_number: int, people: NDArray[np.int64], load: Load) -> NDArray[np.float64]:
        return np.asarray(
            load.download_bytes / self._download_rate[people]
            + load.examples / self._examples_per_second[people]
            + load.upload_bytes / self._upload_rate[people]
        )


class Dropouts:
    """Devices of which a share falls silent after the assignment, anew in every round.

    Args:
        devices: How long the others take.
        probability: Of falling silent, for each person and round independently.
        seed: Seed of the draws.
    """

    def __init__(self, devices: Devices, *, probability: float, seed: int) -> None:
        self._devices, self._probability, self._seed = devices, probability, seed

    def seconds(self, round_number: int, people: NDArray[np.int64], load: Load) -> NDArray[np.float64]:
        generator = np.random.Generator(np.random.Philox(key=[self._seed, round_number]))
        # One number for everybody up to the last person asked, so that a draw depends on who, not on who else.
        draws = generator.random(int(people.max(initial=-1)) + 1)[people]
        return np.where(draws < self._probability, NEVER, self._devices.seconds(round_number, people, load))
