"""A round that measures a model on everybody's device (`evaluation`)."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt, model_validator

from fedrec_protocol.manifest import RecipeChoice
from fedrec_protocol.tensors import DType, Tensors, TensorSpec
from fedrec_recipes import measurements
from fedrec_recipes.evaluation import HeldOut
from fedrec_recipes.item_content import unpack_content
from fedrec_recipes.measuring_recipe import Measured, MeasuringRecipe
from fedrec_recipes.metrics import metric_value, rank_of
from fedrec_recipes.recipe import History, Recipe
from fedrec_recipes.statistics_recipe import StatisticsConfig, Totals

RANKS = "ranks"
EXPOSURE = "exposure"
INTERACTIONS = "interactions"
TARGETS = "targets"
GAINS = "gains"

DEEPEST = 100
"""Ranks below are counted together."""
_STEPS = 100
"""A gain by held-out item is reported in steps of 1/100."""


class EvaluationConfig(StatisticsConfig):
    """What is evaluated, and how finely."""

    recipe: RecipeChoice
    """The recipe whose version is the base of the task."""
    cutoffs: tuple[PositiveInt, ...] = Field(default=(10, 20), max_length=4)
    """The k of hr@k, ndcg@k and mrr@k; at most 100."""
    list_length: PositiveInt = 10
    """Items that are recommended to a person, for coverage, Gini and novelty."""
    activity_edges: tuple[PositiveInt, ...] = Field(default=(20, 50, 100), max_length=8)
    """Lengths of history at which a slice of people ends and the next begins; increasing."""
    popular_share: float = Field(default=0.2, gt=0, lt=1)
    """Share of the catalogue that counts as popular."""
    recommendable: str = ""
    """One bit for each item, 1 for those that may be recommended, as `item_content.pack_content` packs one feature;
    empty means all. The others, retired items and rows without one, do not compete and are not asked for."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if list(self.activity_edges) != sorted(set(self.activity_edges)):
            raise ValueError("activity_edges must increase")
        if max(self.cutoffs, default=0) > DEEPEST:
            raise ValueError(f"cutoffs are at most {DEEPEST}")
        if self.recommendable and not unpack_content(self.recommendable, self.number_of_items, 1).any():
            raise ValueError("recommendable leaves no item")
        return self


class FederatedEvaluation(MeasuringRecipe[EvaluationConfig]):
    """Each device ranks its last item by the base version, and reports counts; they add up to every metric.

    Full ranking of what may be recommended, pessimistic ties. The base must not have been trained on that item.
    Parameters stay as they are: the round's metrics, which the registry keeps with the version, are what comes of it.
    """

    name = "evaluation"
    config_type = EvaluationConfig

    @property
    def keeps_seen(self) -> bool:
        """Whether the evaluated recipe does."""
        return self._evaluated.keeps_seen

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """The tensors of the evaluated recipe."""
        return self._evaluated.shared

    @property
    def statistics(self) -> tuple[TensorSpec, ...]:
        """Cases by slice of activity and rank; recommendations, histories, cases and gains by item."""
        items = (self.config.number_of_items,)
        slices = len(self.config.activity_edges) + 1
        return (
            TensorSpec(name=RANKS, dtype=DType.I8, shape=(slices, DEEPEST + 1)),
            TensorSpec(name=EXPOSURE, dtype=DType.I8, shape=items),
            TensorSpec(name=INTERACTIONS, dtype=DType.I8, shape=items),
            TensorSpec(name=TARGETS, dtype=DType.I8, shape=items),
            TensorSpec(name=GAINS, dtype=DType.I8, shape=(len(self._item_metrics), *items)),
        )

    @property
    def largest_norm(self) -> float:
        """One case, one list, one history, and every gain at its largest."""
        gains = _STEPS**2 * len(self._item_metrics)
        return float((2 + self.config.list_length + self.config.maximum_history + gains) ** 0.5)

    def add(self, totals: dict[str, NDArray[Any]], base: Tensors, history: History) -> None:
        """Ask for the last item of a history; nothing to ask of fewer than two."""
        if len(history) < 2:
            return
        self.add_case(totals, base, HeldOut(0, history.without_last(1), int(history.items[-1])))

    def add_case(self, totals: dict[str, NDArray[Any]], base: Tensors, case: HeldOut) -> None:
        """Add one question to the counts, in place."""
        known, target = case.history, case.target
        if not self._recommendable[target]:
            return
        scores = self._evaluated.score(base, {}, known)
        excluded = np.union1d(self.excluded(known), np.flatnonzero(~self._recommendable))
        rank = rank_of(scores, target, excluded)
        activity = int(np.searchsorted(self.config.activity_edges, len(known), side="right"))
        totals[RANKS][activity, min(rank, DEEPEST + 1) - 1] += 1
        totals[EXPOSURE][_best(scores, excluded, self.config.list_length)] += 1
        totals[INTERACTIONS][np.unique(known.items[-self.config.maximum_history :])] += 1
        totals[TARGETS][target] += 1
        for place, metric in enumerate(self._item_metrics):
            totals[GAINS][place, target] += round(_STEPS * metric_value(metric, rank))

    def measure(self, totals: Totals) -> Measured:
        """Every metric that follows from the counts.

        Names are like `hr@10`, `hr@10.low`, `hr@10.high` over all people; with a slice, `hr@10 [history 20-49]`;
        `coverage@10`, `gini@10`, `novelty@10` of the lists. Noise may have taken counts below zero: they count as zero.
        """
        counts = {name: np.maximum(totals[name], 0.0) for name in totals}
        ranks = counts[RANKS]
        found = measurements.of_histogram(ranks.sum(axis=0), self._metrics)
        for label, of_slice in zip(self._activity_labels, ranks, strict=True):
            found |= _sliced(label, measurements.of_histogram(of_slice, self._item_metrics))
            found[f"people [{label}]"] = float(of_slice.sum())
        share, offered = self.config.popular_share, self._recommendable
        gains = dict(zip(self._item_metrics, counts[GAINS][:, offered] / _STEPS, strict=True))
        interactions = counts[INTERACTIONS][offered]
        for label, means in measurements.by_popularity(gains, counts[TARGETS][offered], interactions, share):
            found |= _sliced(label, means)
        people = float(ranks.sum())
        spread = measurements.of_catalogue(counts[EXPOSURE][offered], interactions, people)
        found |= {f"{name}@{self.config.list_length}": value for name, value in spread.items()}
        return Measured(round(people), found)

    def measured_centrally(self, base: Tensors, cases: Sequence[HeldOut]) -> Measured:
        """The same metrics with everybody's questions in one place."""
        totals: dict[str, NDArray[Any]] = {spec.name: np.zeros(spec.shape) for spec in self.statistics}
        for case in cases:
            self.add_case(totals, base, case)
        return self.measure(totals)

    def score(self, shared: Tensors, private: Tensors, history: History) -> NDArray[np.float32]:
        """The evaluated model's scores."""
        return self._evaluated.score(shared, private, history)

    @property
    def _metrics(self) -> tuple[str, ...]:
        return tuple(f"{family}@{k}" for k in self.config.cutoffs for family in ("hr", "ndcg", "mrr"))

    @property
    def _item_metrics(self) -> tuple[str, ...]:
        """What slices are measured by."""
        return tuple(f"{family}@{self.config.list_length}" for family in ("hr", "ndcg"))

    @property
    def _activity_labels(self) -> list[str]:
        edges = self.config.activity_edges
        starts = (0, *edges)
        between = [f"history {start}-{end - 1}" for start, end in zip(starts, edges, strict=False)]
        return [*between, f"history {starts[-1]}+"]

    @cached_property
    def _recommendable(self) -> NDArray[np.bool_]:
        """Items that may be recommended, shape (number_of_items,)."""
        items = self.config.number_of_items
        if not self.config.recommendable:
            return np.ones(items, dtype=np.bool_)
        return unpack_content(self.config.recommendable, items, 1)[:, 0]

    @property
    def _evaluated(self) -> Recipe[Any]:
        from fedrec_recipes import catalogue  # noqa: PLC0415 - the catalogue lists this recipe too

        return catalogue.recipe(self.config.recipe)


def _best(scores: NDArray[np.floating], excluded: NDArray[np.integer], count: int) -> NDArray[np.int64]:
    """The best items that are not excluded, the lower index of equals; fewer than `count` when there are no more."""
    ranked = np.asarray(scores, dtype=np.float64).copy()
    ranked[excluded] = -np.inf
    best = np.argsort(-ranked, kind="stable")[:count]
    return best[np.isfinite(ranked[best])]


def _sliced(label: str, found: dict[str, float]) -> dict[str, float]:
    return {f"{name} [{label}]": value for name, value in found.items()}
