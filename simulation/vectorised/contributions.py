"""The reports of people who share a recipe, trained together."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.messages import RoundKind
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.recipe import History
from fedrec_recipes.seeding import training_generator
from fedrec_sdk.evaluation import NOTHING_EVALUATED, Evaluation, evaluate_held_out
from fedrec_sdk.trainer import RecipeTrainer
from simulation.contribution import evaluated, trained
from simulation.population import Population
from simulation.vectorised.catalogue import vectorised
from simulation.vectorised.trainer import VectorisedTrainer
from simulation.work import Contribution, PrivateTensors, RoundWork


def fits(trainer: RecipeTrainer, history: History) -> bool:
    """Whether nothing has to be left out of a history: items that the model does not have, or repeats."""
    has_all = len(history) == 0 or int(history.items.max()) < trainer.recipe.config.number_of_items
    return has_all and trainer.recipe.known(history) is history


def contributions(
    population: Population, trainer: RecipeTrainer, people: Sequence[int], work: RoundWork, privates: PrivateTensors
) -> Iterator[tuple[int, Contribution]]:
    """What `contribute` gives for each of these people, in order, without those who found no example.

    A report is valid until the next one is asked for.
    """
    many = vectorised(trainer.recipe)
    if many is None:
        raise TypeError(f"recipe {trainer.recipe.name!r} has no vectorised trainer")
    kept = [privates.get(person, {}) for person in people]
    evaluations = _evaluations(many, trainer, [population.histories[person] for person in people], work, kept)
    if work.kind is RoundKind.EVALUATION:
        for person, private, evaluation in zip(people, kept, evaluations, strict=True):
            yield person, Contribution(evaluated(work, evaluation), private)
        return
    results = many.train_many(
        work.base,
        kept,
        (population.histories[person].without_last(trainer.holdout) for person in people),
        work.manifest.training,
        (training_generator(population.training_seed(person), work.number) for person in people),
    )
    for person, private, evaluation, result in zip(people, kept, evaluations, results, strict=True):
        contribution = trained(work, trainer, result, private, evaluation)
        if contribution is not None:
            yield person, contribution


def _evaluations(
    many: VectorisedTrainer,
    trainer: RecipeTrainer,
    histories: Sequence[History],
    work: RoundWork,
    privates: Iterable[Tensors],
) -> Iterator[Evaluation]:
    """`RecipeTrainer.evaluate` for each history, in order."""
    if not work.manifest.metrics:
        yield from (NOTHING_EVALUATED for _ in histories)
        return
    contexts = [_contexts(history, trainer.holdout) for history in histories]
    repeated = [private for private, asked in zip(privates, contexts, strict=True) for _ in asked]
    scores = many.score_many(work.base, repeated, (context for asked in contexts for context in asked))

    def next_scores(_: History) -> NDArray[np.float32]:
        return next(scores)

    for history in histories:
        seen = trainer.recipe.excluded
        yield evaluate_held_out(next_scores, history, trainer.holdout, work.manifest.metrics, seen=seen)


def _contexts(history: History, holdout: int) -> list[History]:
    """What `evaluate_held_out` asks scores for, in its order."""
    return [history.without_last(count) for count in range(min(holdout, len(history) - 1), 0, -1)]
