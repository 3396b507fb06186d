"""Participants in this process, vectorised where the recipe offers it."""

from collections.abc import Sequence
from typing import TypeGuard

from fedrec_sdk.trainer import RecipeTrainer
from simulation.contribution import contribute
from simulation.population import Population
from simulation.vectorised.catalogue import vectorised
from simulation.vectorised.contributions import contributions, fits
from simulation.vectorised.statistics import add_statistics, can_be_summed
from simulation.work import CohortSum, PrivateTensors, RoundWork


class LocalEngine:
    """One process, one participant's memory at a time.

    Args:
        population: The people.
        is_vectorised: False trains everybody one by one, as devices do: the slow reference.
    """

    def __init__(self, population: Population, *, is_vectorised: bool = True) -> None:
        self._population = population
        self._is_vectorised = is_vectorised

    def contribute(self, work: RoundWork, people: Sequence[int], privates: PrivateTensors) -> CohortSum:
        """Everybody's report, one after the other."""
        total = CohortSum.empty(work)
        alone, groups = self._grouped(people)
        for trainer, together in groups:
            if can_be_summed(trainer, work):
                add_statistics(self._population, trainer, together, work, total)
            elif vectorised(trainer.recipe) is not None:
                for person, contribution in contributions(self._population, trainer, together, work, privates):
                    total.count(person, contribution, work.layout)
            else:
                alone += together
        for person in alone:
            one = contribute(self._population, person, work, privates.get(person, {}))
            if one is not None:
                total.count(person, one, work.layout)
        return total

    def close(self) -> None:
        """Nothing to let go of."""

    def _grouped(self, people: Sequence[int]) -> tuple[list[int], list[tuple[RecipeTrainer, list[int]]]]:
        """Those who certainly train alone, and those who share a recipe's trainer."""
        alone: list[int] = []
        groups: dict[int, tuple[RecipeTrainer, list[int]]] = {}
        for person in people:
            trainer = self._population.trainer_of(person)
            if self._is_plain(trainer) and fits(trainer, self._population.histories[person]):
                groups.setdefault(id(trainer), (trainer, []))[1].append(person)
            else:
                alone.append(person)
        return alone, list(groups.values())

    def _is_plain(self, trainer: object) -> TypeGuard[RecipeTrainer]:
        # A subclass, or a trainer that wraps another (an attacker's), trains differently.
        return self._is_vectorised and type(trainer) is RecipeTrainer
