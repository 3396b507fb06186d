"""The ways to add noise that are audited: what each changes in the manifest, and how its strongest auditor reads it.

Canaries' residuals are what the versions show at a canary's coordinate less what everybody else reported, in clipping
norms: one row for each round. A canary that took part is a one among noise, in every round or in those that the mode
lets it be in.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import toeplitz

from fedrec_protocol.secure_aggregation import smallest_modulus
from services.aggregator.domain.privacy.correlated import banded_square_root
from simulation.availability import AlwaysAvailable, Availability

_UNLIMITED = 1e12
"""A budget that ends no audit: what was spent is what is measured against."""
_VALUE_BITS = 20
_INITIAL_SHARE = 0.5
"""First clipping norm of an adaptive task, relative to the largest: it has to move."""


class Mode(Protocol):
    """How the noise of an audited task is drawn."""

    name: ClassVar[str]
    """As the figures call it."""
    is_gaussian: ClassVar[bool]
    """Whether scores are Gaussian, so that their distance estimates epsilon."""

    @property
    def noise_multiplier(self) -> float | None:
        """Of the model's sum; None where there is no noise."""
        ...

    def changes(self, *, people: int, clipping_norm: float, target_delta: float) -> dict[str, Any]:
        """What the manifest of a task for so many people says otherwise: `rounds` is merged, all else replaced."""
        ...

    def availability(self, people: int) -> Availability:
        """Who can be asked when; canaries come behind the `people`."""
        ...

    def scores(self, residuals: NDArray[np.float64]) -> NDArray[np.float64]:
        """How likely each canary took part, from residuals of shape (rounds, canaries); shape (canaries,)."""
        ...


@dataclass(frozen=True)
class Exact:
    """No noise: plain reports, or masks alone."""

    name: ClassVar[str] = "no noise"
    is_gaussian: ClassVar[bool] = False
    noise_multiplier: ClassVar[None] = None

    def changes(self, *, people: int, clipping_norm: float, target_delta: float) -> dict[str, Any]:
        return {}

    def availability(self, people: int) -> Availability:
        return AlwaysAvailable()

    def scores(self, residuals: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(residuals.sum(axis=0))


@dataclass(frozen=True)
class Central:
    """Fresh noise of the server in every round."""

    noise_multiplier: float
    name: ClassVar[str] = "central"
    is_gaussian: ClassVar[bool] = True

    def changes(self, *, people: int, clipping_norm: float, target_delta: float) -> dict[str, Any]:
        return {"privacy": policy(self.noise_multiplier, target_delta)}

    def availability(self, people: int) -> Availability:
        return AlwaysAvailable()

    def scores(self, residuals: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(residuals.sum(axis=0))


@dataclass(frozen=True)
class Adaptive(Central):
    """The clipping norm follows the lengths of the updates; residuals are in each round's own norm."""

    name: ClassVar[str] = "adaptive clipping"

    def changes(self, *, people: int, clipping_norm: float, target_delta: float) -> dict[str, Any]:
        clipping = {"initial_norm": _INITIAL_SHARE * clipping_norm, "count_noise": max(people / 20, 10.0)}
        return {"privacy": policy(self.noise_multiplier, target_delta, clipping=clipping)}


@dataclass(frozen=True)
class Distributed(Central):
    """Skellam noise that the participants add to their integers before these are masked."""

    name: ClassVar[str] = "distributed"

    def changes(self, *, people: int, clipping_norm: float, target_delta: float) -> dict[str, Any]:
        masks = {
            "value_bits": _VALUE_BITS,
            "modulus_bits": smallest_modulus(_VALUE_BITS, people),
            "minimum_cohort": people,  # everybody reports, so exactly the noise that is charged is there
        }
        promise = policy(self.noise_multiplier, target_delta, mechanism="distributed", colluding_share=0.0)
        return {"privacy": promise, "secure_aggregation": masks}


@dataclass(frozen=True)
class Sampled(Central):
    """The server flips a coin for everybody in every round."""

    probability: float = 0.5
    name: ClassVar[str] = "Poisson-sampled"
    is_gaussian: ClassVar[bool] = False

    def changes(self, *, people: int, clipping_norm: float, target_delta: float) -> dict[str, Any]:
        promise = policy(self.noise_multiplier, target_delta, sampling={"probability": self.probability})
        return {"privacy": promise, "rounds": {"aggregation_goal": max(round(people * self.probability), 1)}}

    def scores(self, residuals: NDArray[np.float64]) -> NDArray[np.float64]:
        """The logarithm of the likelihood ratio: whether a canary was drawn in a round is not known."""
        exponent = (2 * residuals - 1) / (2 * self.noise_multiplier**2)
        drawn, not_drawn = np.log(self.probability) + exponent, np.log1p(-self.probability)
        return np.asarray(np.logaddexp(drawn, not_drawn).sum(axis=0))


@dataclass(frozen=True)
class Correlated(Central):
    """Each round takes back part of the noise of the rounds before; canaries are in every `bands`-th round."""

    bands: int = 2
    name: ClassVar[str] = "correlated"

    def changes(self, *, people: int, clipping_norm: float, target_delta: float) -> dict[str, Any]:
        promise = policy(self.noise_multiplier, target_delta, correlated={"bands": self.bands})
        # One more than there are: every round ends at its deadline, so that the clock tells whose turn it is.
        rounds = {"aggregation_goal": people + 1, "minimum_separation": self.bands, "deadline_seconds": 1.0}
        return {"privacy": promise, "rounds": rounds}

    def availability(self, people: int) -> Availability:
        return _Turns(people, self.bands)

    def scores(self, residuals: NDArray[np.float64]) -> NDArray[np.float64]:
        """The strategy matrix makes the noise independent again; then the canary's own columns are looked for."""
        column = np.zeros(len(residuals))
        coefficients = banded_square_root(self.bands)[: len(residuals)]
        column[: len(coefficients)] = coefficients
        strategy = np.tril(toeplitz(column))
        return np.asarray(strategy[:, :: self.bands].sum(axis=1) @ (strategy @ residuals))


class _Turns:
    """People take turns, one group a second; the canaries are all in the first group."""

    def __init__(self, people: int, groups: int) -> None:
        self._people, self._groups = people, groups

    def available(self, people: NDArray[np.int64], seconds: float) -> NDArray[np.bool_]:
        group = np.where(people < self._people, people % self._groups, 0)
        return np.asarray(group == int(seconds) % self._groups)


def policy(noise_multiplier: float, target_delta: float, **more: Any) -> dict[str, Any]:
    """A manifest's promise of privacy with a budget that is never used up."""
    return {
        "mechanism": "central",
        "noise_multiplier": noise_multiplier,
        "budget_epsilon": _UNLIMITED,
        "target_delta": target_delta,
        **more,
    }
