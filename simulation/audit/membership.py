"""Whether somebody's data was trained on, told from published versions.

Two attackers. One has the last version and the history of the person in question, and looks how well the model
ranks each of that person's items when asked with the others (a loss attack, Yeom et al. 2018,
https://arxiv.org/abs/1709.01604). The other has all versions, knows the histories of a set of candidates and how many
took part, computes what each of them would have reported, and solves for the combination that explains the
published sums best: the worst that somebody who knows everything but the membership can do by linear means.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.tensors import Tensors
from fedrec_recipes.recipe import History, Recipe, RecipeConfig
from simulation.audit.modes import Mode
from simulation.audit.rates import Rates
from simulation.audit.task import AuditedTask, PublishedRound, published_rounds
from simulation.contribution import contribute
from simulation.population import Population
from simulation.work import RoundWork

_MOST_QUESTIONS = 10
"""Items of one person that the model is asked for."""
_PRIOR_VARIANCE = 0.25
"""Of a fair coin: whether a candidate is a member."""
_LEAST_RIDGE = 1e-9
"""Relative to the candidates' reports; keeps the equations solvable where two of them are alike."""


@dataclass(frozen=True)
class MembershipFigures:
    """How well members are told from others."""

    noise_multiplier: float | None
    """None: exact sums, as under masks alone."""
    ledger_epsilon: float | None
    from_last_version: Rates
    """Who has the last version and one person's history."""
    from_all_versions: Rates
    """Who has all versions and the candidates' histories."""


def audit_membership(task: AuditedTask, candidates: Population, mode: Mode) -> MembershipFigures:
    """Train on a random half of the candidates, and attack what is published."""
    generator = np.random.Generator(np.random.Philox(key=task.seed))
    is_member = np.zeros(len(candidates), np.bool_)
    is_member[generator.permutation(len(candidates))[: len(candidates) // 2]] = True
    members = np.flatnonzero(is_member).tolist()
    trained = Population(
        [candidates.histories[person] for person in members],
        lambda place: candidates.trainer_of(members[place]),
        candidates.seed,
    )
    solver = _Solver(candidates, noise_deviation=(mode.noise_multiplier or 0.0) * task.clipping_norm)
    last: Tensors = {}
    epsilon = None
    for published in published_rounds(task.manifest(len(members), mode), trained):
        solver.add(published)
        last, epsilon = published.after, published.epsilon
    fits = np.array([_fit(task.recipe, last, history) for history in candidates.histories])
    weights = solver.weights()
    return MembershipFigures(
        noise_multiplier=mode.noise_multiplier,
        ledger_epsilon=epsilon,
        from_last_version=Rates.of(fits[is_member], fits[~is_member]),
        from_all_versions=Rates.of(weights[is_member], weights[~is_member]),
    )


def expected_reports(candidates: Population, work: RoundWork) -> Iterator[NDArray[np.float64]]:
    """What each candidate would report in this round, float64, shape (d,); zero for who has no example."""
    for person in range(len(candidates)):
        made = contribute(candidates, person, work, {})
        if made is None:
            yield np.zeros(work.layout.model_size)
        else:
            yield np.concatenate([made.report.values[spec.name] for spec in work.layout.tensors]).astype(np.float64)


class _Solver:
    """Regularised least squares for the weights w of sum_t |s_t - E_t^T w|^2: members have 1, others 0.

    With noise of this deviation and a fair coin for each candidate it is the best linear estimate.
    """

    def __init__(self, candidates: Population, *, noise_deviation: float) -> None:
        self._candidates, self._ridge = candidates, noise_deviation**2 / _PRIOR_VARIANCE
        self._gram = np.zeros((len(candidates), len(candidates)))
        self._seen = np.zeros(len(candidates))

    def add(self, published: PublishedRound) -> None:
        """One more round; its candidates' reports start from its base version."""
        reports = np.stack([each.astype(np.float32) for each in expected_reports(self._candidates, published.work)])
        self._gram += reports @ reports.T
        self._seen += reports @ published.sum.astype(np.float32)

    def weights(self) -> NDArray[np.float64]:
        """The estimate, shape (candidates,)."""
        size = len(self._gram)
        ridge = max(self._ridge, _LEAST_RIDGE * float(np.trace(self._gram)) / size)
        centred = self._seen - self._gram @ np.full(size, 0.5)
        return np.asarray(0.5 + np.linalg.solve(self._gram + ridge * np.eye(size), centred))


def _fit(recipe: Recipe[RecipeConfig], shared: Tensors, history: History) -> float:
    """Mean share of the catalogue below each of the person's items, when asked with the others."""
    questions = np.unique(np.linspace(0, len(history) - 1, _MOST_QUESTIONS).astype(np.int64))
    shares = []
    for place in questions:
        others = History(np.delete(history.items, place))
        scores = recipe.score(shared, {}, others)
        shares.append(float(np.mean(scores < scores[history.items[place]])))
    return float(np.mean(shares))
