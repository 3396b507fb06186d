"""One participant's round, as the SDK does it between check-in and receipt."""

from fedrec_protocol.messages import RoundKind
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.recipe import LocalResult
from fedrec_recipes.seeding import training_generator
from fedrec_sdk.evaluation import NOTHING_EVALUATED, Evaluation
from fedrec_sdk.report import evaluation_report, training_report
from fedrec_sdk.trainer import Trainer
from services.aggregator.domain.reports import RoundFormat, ValidReport, read_report
from simulation.direct_report import direct_report
from simulation.population import Population
from simulation.work import Contribution, RoundWork


def contribute(population: Population, person: int, work: RoundWork, private: Tensors) -> Contribution | None:
    """Evaluate and train; None when training found no example.

    Raises:
        Rejected: the device refuses to send what the server would refuse.
        ReportRejected: the server refuses the report.
    """
    trainer, history = population.trainer_of(person), population.histories[person]
    metrics = work.manifest.metrics
    evaluation = trainer.evaluate(work.base, private, history, metrics) if metrics else NOTHING_EVALUATED
    if work.kind is RoundKind.EVALUATION:
        return Contribution(evaluated(work, evaluation), private)
    generator = training_generator(population.training_seed(person), work.number)
    result = trainer.train(work.base, private, history, work.manifest.training, generator)
    return trained(work, trainer, result, private, evaluation)


def evaluated(work: RoundWork, evaluation: Evaluation) -> ValidReport:
    """What was measured, as the server reads it: the report of an evaluation round."""
    key = (evaluation.count, *(evaluation.sums.get(metric, 0.0) for metric in work.manifest.metrics))
    if key not in work.evaluations:
        expected = RoundFormat.of(work.manifest, RoundKind.EVALUATION)
        work.evaluations[key] = read_report(evaluation_report(work.manifest, evaluation), expected)
    return work.evaluations[key]


def trained(
    work: RoundWork, trainer: Trainer, result: LocalResult, private: Tensors, evaluation: Evaluation
) -> Contribution | None:
    """The report of a training round; None when training found no example."""
    if result.examples == 0:
        return None
    report = direct_report(work, result, trainer.content, evaluated(work, evaluation).metrics)
    if report is None:
        body = training_report(
            work.manifest, result, trainer.content, work.base, evaluation, clipping_norm=work.clipping_norm
        )
        report = read_report(body, work.format, work.base)
    return Contribution(report, {**private, **result.private})
