"""What a server learns from single reports: plain, masked, and with the participant's own noise.

Two attacks on the same reports. One asks of every item whether the person had it, from how far the item's rows lie
from those of other people's reports. The other knows a history and asks whether this is the report of that person,
from its correlation with what the person would have reported.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol import codec
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.noise.local import locally_private
from fedrec_protocol.noise.random_bits import RandomBits
from fedrec_protocol.secagg.descriptor import HARD_FLOOR, RoundDescriptor
from fedrec_protocol.secagg.of_task import round_deadlines, round_descriptor, round_grid
from fedrec_protocol.secure_aggregation import SecureAggregation
from fedrec_recipes.recipe import History
from fedrec_recipes.seeding import training_generator
from fedrec_sdk.evaluation import NOTHING_EVALUATED
from fedrec_sdk.report import training_report
from fedrec_sdk.secure_report import masked_vector
from simulation.audit.masking import masked_reports
from simulation.audit.membership import expected_reports
from simulation.audit.modes import Exact
from simulation.audit.rates import Rates, mean_auc, placements
from simulation.audit.task import AuditedTask, published_rounds
from simulation.population import Population
from simulation.simulation import START
from simulation.work import RoundWork

_WARM_UP_ROUNDS = 2
"""Reports of the third round are attacked: in the first there is little to report."""
_NO_DISTANCE = 1e-12


@dataclass(frozen=True)
class ReportFigures:
    """What single reports give away, as one kind of server sees them."""

    seen: str
    """`plain`, `masked`, `local noise, z = ...`."""
    had_item: Rates
    """Which items people had; the AUC is the mean over people."""
    whose_report: Rates
    """Whose report it is, among all who reported; likewise."""


def audit_reports(task: AuditedTask, people: Population, local_multipliers: Sequence[float]) -> list[ReportFigures]:
    """Attack the reports that everybody makes in one round.

    Raises:
        ValueError: fewer than five people, among whom no mask hides, or more than a 24-bit sum has room for.
    """
    terms = SecureAggregation(minimum_cohort=HARD_FLOOR)
    manifest = task.manifest(len(people), Exact()).model_copy(update={"secure_aggregation": terms})
    work = _work(TaskManifest.model_validate(manifest.model_dump()), people)
    vectors, expected = _vectors(work, people), np.stack(list(expected_reports(people, work)))
    views = {"plain": vectors, "masked": masked_reports(_descriptor(work), vectors)}
    for multiplier in local_multipliers:
        bits = RandomBits(task.seed.to_bytes(32, "little"))
        views[f"local noise, z = {multiplier:g}"] = [
            _with_local_noise(work, each, multiplier, bits) for each in vectors
        ]
    return [
        ReportFigures(seen, _had_item(work, received, people.histories), _whose_report(received, expected))
        for seen, received in ((seen, np.stack(view)[:, : work.layout.model_size]) for seen, view in views.items())
    ]


def _work(manifest: TaskManifest, people: Population) -> RoundWork:
    """The round whose reports are attacked."""
    rounds = islice(published_rounds(manifest, people), _WARM_UP_ROUNDS)
    *_, last = rounds
    return RoundWork(manifest, RoundKind.TRAINING, last.work.number + 1, last.after)


def _vectors(work: RoundWork, people: Population) -> list[NDArray[np.int64]]:
    """Everybody's integers before they are masked, each of shape (coordinates,)."""
    vectors = []
    for person, history in enumerate(people.histories):
        trainer, generator = people.trainer_of(person), training_generator(people.training_seed(person), work.number)
        result = trainer.train(work.base, {}, history, work.manifest.training, generator)
        body = training_report(work.manifest, result, trainer.content, work.base, NOTHING_EVALUATED)
        bits = RandomBits.from_operating_system()  # of noise inside the mask, which an audited task has none of
        vectors.append(masked_vector(work.manifest, work.kind, body, work.base, bits))
    return vectors


def _descriptor(work: RoundWork) -> RoundDescriptor:
    return round_descriptor(
        work.manifest,
        work.kind,
        task_id="audit",
        round_number=work.number,
        base_digest=hashlib.sha256(codec.encode(work.base)).hexdigest(),
        nonce=os.urandom(32),
        deadlines=round_deadlines(work.manifest, START),
    )


def _with_local_noise(
    work: RoundWork, vector: NDArray[np.int64], multiplier: float, bits: RandomBits
) -> NDArray[np.int64]:
    bound = round_grid(work.manifest, work.kind).bound_steps
    return locally_private(vector, bound_steps=bound, noise_multiplier=multiplier, bits=bits)


def _whose_report(received: NDArray[np.int64], expected: NDArray[np.float64]) -> Rates:
    """For each report the share of other people whose expected report fits it worse than its author's."""
    similarity = _directions(received.astype(np.float64)) @ _directions(expected).T
    each = [float(placements(row[[person]], np.delete(row, person))[0]) for person, row in enumerate(similarity)]
    is_author = np.eye(len(similarity), dtype=np.bool_)
    return Rates.of(similarity[is_author], similarity[~is_author], auc=mean_auc(np.array(each)))


def _directions(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each row's difference from the mean row, of length one."""
    centred = rows - rows.mean(axis=0)
    return np.asarray(centred / np.linalg.norm(centred, axis=1, keepdims=True))


def _had_item(work: RoundWork, received: NDArray[np.int64], histories: Sequence[History]) -> Rates:
    """For each report how well the items that its author had are told from the others."""
    items = max(spec.shape[0] for spec in work.manifest.report_tensors)
    unusual = np.zeros((len(received), items))
    for spec in work.manifest.report_tensors:
        if spec.shape[0] == items:
            rows = received[:, work.layout.slices[spec.name]].reshape(len(received), items, -1).astype(np.float64)
            distances = np.linalg.norm(rows - rows.mean(axis=0), axis=2)
            unusual += distances / np.maximum(distances.mean(axis=0), _NO_DISTANCE)
    had = np.zeros(unusual.shape, np.bool_)
    for person, history in enumerate(histories):
        had[person, history.items] = True
    each = [float(placements(scores[its], scores[~its]).mean()) for scores, its in zip(unusual, had, strict=True)]
    return Rates.of(unusual[had], unusual[~had], auc=mean_auc(np.array(each)))
