"""Several trained models as one, whose scores are added up with weights that devices choose (`combined`)."""

import itertools
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator

from fedrec_protocol.manifest import RecipeChoice
from fedrec_protocol.tensors import DType, Initialiser, InitialiserKind, Tensors, TensorSpec
from fedrec_recipes.evaluation import HeldOut
from fedrec_recipes.recipe import History, Recipe, RecipeConfig
from fedrec_recipes.standardise import standardised
from fedrec_recipes.statistics_recipe import StatisticsRecipe, Totals
from fedrec_recipes.surest_gain import gains_of, largest_norm_of_gains, squares_of, surest

MEMBER_WEIGHTS = "member_weights"
GAINS = "gains"
SQUARED_GAINS = "squared_gains"

MOST_MEMBERS = 4
"""The alternatives that devices try grow with the power of the members."""

_WEIGHTS_OF_A_PAIR = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
_WEIGHTS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Of each further member, where the first has 1: fewer where there are more members."""


class NotCombinable(ValueError):
    """Versions or weights that are not of these members."""


def member_tensor(place: int, name: str) -> str:
    """What a tensor of the member at this place is called among the combined model's."""
    return f"member{place}.{name}"


def weight_grid(members: int) -> NDArray[np.float32]:
    """The weights that devices try, shape (alternatives, members): those with the first member, and each one alone."""
    further = itertools.product(_WEIGHTS_OF_A_PAIR if members == 2 else _WEIGHTS, repeat=members - 1)
    alone = np.eye(members, dtype=np.float32)[1:]
    return np.concatenate([np.array([(1.0, *weights) for weights in further], dtype=np.float32), alone])


class CombinedConfig(RecipeConfig):
    """What is added up."""

    members: tuple[RecipeChoice, ...] = Field(min_length=2, max_length=MOST_MEMBERS)
    """The recipes of the versions that are added up; their number of items is this one's, and need not be said."""

    @field_validator("members")
    @classmethod
    def _spelt_out(cls, members: tuple[RecipeChoice, ...], info: ValidationInfo) -> tuple[RecipeChoice, ...]:
        """Each member with its whole configuration: its tensors are those of these values, whatever defaults become."""
        items = info.data.get("number_of_items")
        return members if items is None else tuple(_member(choice, items).choice for choice in members)


class Combined(StatisticsRecipe[CombinedConfig]):
    """The sum of several models' scores, each standardised over the items and weighted.

    The members were trained by tasks of their own; their tensors are the base of this one's, and stay as they are. In
    its one round each device ranks its last interaction, given what was before, under every alternative of
    `weight_grid`, and reports the gains over equal weights: a few hundred bytes. The members must not have been trained
    on that interaction, or the one that knows it by heart would get all the weight.
    """

    name = "combined"
    config_type = CombinedConfig
    learns = False
    needs_base = True

    @cached_property
    def members(self) -> tuple[Recipe[Any], ...]:
        """The recipes that are added up."""
        return tuple(_member(choice, self.config.number_of_items) for choice in self.config.members)

    @property
    def keeps_seen(self) -> bool:
        """Whether one of the members does."""
        return any(member.keeps_seen for member in self.members)

    @cached_property
    def shared(self) -> tuple[TensorSpec, ...]:
        """The members' tensors, each under its member's place, and the weights."""
        of_members = (
            spec.model_copy(update={"name": member_tensor(place, spec.name)})
            for place, member in enumerate(self.members)
            for spec in member.shared
        )
        equal = Initialiser(kind=InitialiserKind.ONES)
        return (*of_members, TensorSpec(name=MEMBER_WEIGHTS, shape=(len(self.members),), init=equal))

    @property
    def statistics(self) -> tuple[TensorSpec, ...]:
        """The alternatives' gains and their squares."""
        alternatives = (len(self._grid),)
        return (
            TensorSpec(name=GAINS, dtype=DType.I8, shape=alternatives),
            TensorSpec(name=SQUARED_GAINS, dtype=DType.I8, shape=alternatives),
        )

    @property
    def largest_norm(self) -> float:
        """Of every gain at its largest."""
        return largest_norm_of_gains(len(self._grid))

    def add(self, totals: dict[str, NDArray[Any]], base: Tensors, history: History) -> None:
        """Ask for the last item of a history; nothing to ask of fewer than two."""
        if len(history) < 2:
            return
        case = HeldOut(0, history.without_last(1), int(history.items[-1]))
        self.add_ranks(totals, self.ranks(base, case))

    def add_ranks(self, totals: dict[str, NDArray[Any]], ranks: NDArray[np.int64]) -> None:
        """Add what one person gains, whose held-out item has these `ranks`."""
        gains = gains_of(ranks[None], self._equal_weights)
        totals[GAINS] += gains.astype(totals[GAINS].dtype)
        totals[SQUARED_GAINS] += squares_of(gains).astype(totals[SQUARED_GAINS].dtype)

    def chosen(self, totals: Totals) -> int:
        """The alternative whose gain is surest."""
        return surest(totals[GAINS], totals[SQUARED_GAINS], self._equal_weights)

    def ranks(self, shared: Tensors, case: HeldOut) -> NDArray[np.int64]:
        """Rank of the held-out item among what may be recommended under each alternative; ties are pessimistic.

        Returns:
            Shape (alternatives,), in the order of `weight_grid`; the weights in `shared` do not matter.
        """
        scores = self._grid @ self._member_scores(shared, case.history)
        ahead = ~(scores < scores[:, [case.target]])
        ahead[:, self.excluded(case.history)] = False
        ahead[:, case.target] = False
        return np.asarray(np.count_nonzero(ahead, axis=1) + 1, dtype=np.int64)

    def solve(self, base: Tensors, totals: Totals) -> dict[str, NDArray[Any]]:
        """The members as they were, and the weights whose gain is surest."""
        weights = self._grid[self.chosen(totals)]
        return {**{spec.name: np.asarray(base[spec.name]) for spec in self.shared}, MEMBER_WEIGHTS: weights}

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused: the members solve what is private from the history
        history: History,
    ) -> NDArray[np.float32]:
        """The weighted sum of the members' standardised scores."""
        weights = np.asarray(shared[MEMBER_WEIGHTS], dtype=np.float32)
        return np.asarray(weights @ self._member_scores(shared, history), dtype=np.float32)

    def item_vectors(self, shared: Tensors) -> NDArray[np.float32] | None:
        """Those of the first member that has some."""
        found = (member.item_vectors(self.tensors_of(place, shared)) for place, member in enumerate(self.members))
        return next((vectors for vectors in found if vectors is not None), None)

    def train_central(
        self,
        histories: Sequence[History],
        generator: np.random.Generator,
        *,
        base: Tensors | None = None,
        rounds: int | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Train the members without everybody's last interaction, then choose their weights by it."""
        start = self.starting_parameters(base, generator)
        before = [history.without_last(1) for history in histories]
        trained = [
            member.train_central([member.known(each) for each in before], generator, base=self.tensors_of(place, start))
            for place, member in enumerate(self.members)
        ]
        return super().train_central(histories, generator, base=self.combination(trained), rounds=rounds)

    def tensors_of(self, place: int, shared: Tensors) -> dict[str, NDArray[Any]]:
        """The tensors of the member at this place, by the names that it knows them by."""
        return {spec.name: shared[member_tensor(place, spec.name)] for spec in self.members[place].shared}

    def combination(
        self, members: Sequence[Tensors], weights: Sequence[float] | None = None
    ) -> dict[str, NDArray[Any]]:
        """The tensors of a combined model.

        Args:
            members: The tensors of each member's version, in order.
            weights: One for each member; None: equal ones, which a round of choosing starts from.

        Raises:
            NotCombinable: other tensors than the members' recipes have, or weights that are not one for each.
        """
        chosen = np.ones(len(self.members)) if weights is None else np.array(weights, dtype=np.float64)
        if len(members) != len(self.members) or chosen.shape != (len(self.members),):
            raise NotCombinable(f"{len(self.members)} members need as many versions, and as many weights")
        if not np.isfinite(chosen).all() or (chosen < 0).any() or not chosen.any():
            raise NotCombinable("weights are zero or positive, and not all zero")
        tensors = {MEMBER_WEIGHTS: chosen.astype(np.float32)}
        for place, (member, given) in enumerate(zip(self.members, members, strict=True)):
            _require_tensors(place, member, given)
            tensors |= {member_tensor(place, spec.name): given[spec.name] for spec in member.shared}
        return {spec.name: tensors[spec.name] for spec in self.shared}

    @cached_property
    def _grid(self) -> NDArray[np.float32]:
        return weight_grid(len(self.config.members))

    @property
    def _equal_weights(self) -> int:
        """The alternative that gains are measured against."""
        return int(np.flatnonzero((self._grid == 1).all(axis=1))[0])

    def _member_scores(self, shared: Tensors, history: History) -> NDArray[np.float32]:
        """Each member's standardised scores, shape (members, number_of_items)."""
        scores = (
            member.score(self.tensors_of(place, shared), {}, member.known(history))
            for place, member in enumerate(self.members)
        )
        return np.stack([standardised(each) for each in scores])


def _member(choice: RecipeChoice, number_of_items: int) -> Recipe[Any]:
    from fedrec_recipes import catalogue  # noqa: PLC0415 - the catalogue lists this recipe too

    config = {"number_of_items": number_of_items, **choice.config}
    if config["number_of_items"] != number_of_items:
        raise ValueError(
            f"member {choice.name!r} is of {config['number_of_items']} items, the others of {number_of_items}"
        )
    try:
        learns = catalogue.recipe_type(choice.name).learns
    except catalogue.UnknownRecipe as error:
        raise ValueError(str(error)) from error
    if not learns:  # asked before it is built: a deep nest of members would not end in a sentence
        raise ValueError(f"a member is a recipe that learns, and {choice.name!r} does not: name what it is made of")
    return catalogue.recipe(RecipeChoice(name=choice.name, config=config))


def _require_tensors(place: int, member: Recipe[Any], tensors: Tensors) -> None:
    """Refuse a version that is not of this recipe."""
    wanted = {(spec.name, spec.shape, spec.dtype.numpy) for spec in member.shared}
    given = {(name, value.shape, value.dtype) for name, value in tensors.items()}
    if wanted != given:
        names = ", ".join(sorted({name for name, *_ in wanted ^ given}))
        raise NotCombinable(f"version {place + 1} does not hold the tensors of recipe {member.name!r}: see {names}")
