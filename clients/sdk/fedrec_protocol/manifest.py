"""The task manifest: everything that participants and the aggregator agree on before the first round."""

import fnmatch
import hashlib
import json
import math
from functools import cached_property
from typing import Any, Self

from pydantic import Field, model_validator

from fedrec_protocol import fixed_point
from fedrec_protocol.base import Message
from fedrec_protocol.homomorphic_encryption import HomomorphicEncryption
from fedrec_protocol.manifest_checks import check_manifest
from fedrec_protocol.manifest_evolution import what_is_on
from fedrec_protocol.names import MetricName, Name
from fedrec_protocol.popularity_floor import PopularityFloor
from fedrec_protocol.privacy import (
    AdaptiveClipping,
    CentralPrivacy,
    CorrelatedNoise,
    DistributedPrivacy,
    LocalPrivacy,
    PoissonSampling,
    Privacy,
)
from fedrec_protocol.report_format import (
    CLIPPED_TENSOR,
    EXAMPLES_TENSOR,
    METRICS_TENSOR,
    ReportContent,
    ReportFormat,
    Weighting,
)
from fedrec_protocol.round_policy import Convergence, RoundPolicy, StopCriteria
from fedrec_protocol.secagg.grid import largest_fraction_bits
from fedrec_protocol.secure_aggregation import SecureAggregation
from fedrec_protocol.tensors import DType, TensorSpec
from fedrec_protocol.training_plan import AggregationRule, RecipeChoice, TrainingPlan

__all__ = [
    "CLIPPED_TENSOR",
    "EXAMPLES_TENSOR",
    "METRICS_TENSOR",
    "AggregationRule",
    "Convergence",
    "MetricName",
    "Name",
    "RecipeChoice",
    "ReportContent",
    "ReportFormat",
    "RoundPolicy",
    "StopCriteria",
    "TaskManifest",
    "TrainingPlan",
    "Weighting",
    "manifest_schema",
]


class TaskManifest(Message):
    """Everything that participants and the aggregator agree on before the first round."""

    name: Name
    """The task's name."""
    model: Name
    """Name of the model in the registry that the task's versions belong to."""
    recipe: RecipeChoice
    """Which recommender is trained."""
    shared: tuple[TensorSpec, ...] = Field(min_length=1, max_length=1000)
    """The global model's tensors: what participants download."""
    private: tuple[str, ...] = ()
    """Name patterns (`user_*`) of tensors that never leave the device; a report that holds one is refused."""
    report: ReportFormat = ReportFormat()
    """What a report holds."""
    metrics: tuple[MetricName, ...] = Field(default=(), max_length=64)
    """Metrics that participants measure on the base version and report as sums, e.g. `hr@10`."""
    aggregation: AggregationRule = AggregationRule()
    """How the sum becomes the next parameters."""
    rounds: RoundPolicy
    """When a round closes, and how many participants are asked."""
    training: TrainingPlan = TrainingPlan()
    """What a participant does in one training round."""
    stop: StopCriteria
    """When the task completes."""
    evaluate_final: bool = True
    """Whether a last round measures the final version (only if there are metrics)."""
    base_version: str | None = None
    """Registry version to start from; null means the server initialises the tensors by their `init`."""
    privacy: Privacy | None = None
    """Differential privacy; null means that no noise is added and nothing is guaranteed about the sums."""
    secure_aggregation: SecureAggregation | None = None
    """Masks under which participants report; null means that the server's process sees each report."""
    homomorphic_encryption: HomomorphicEncryption | None = None
    """Ciphertexts that silos report and decrypt the sum of; null means that they report as said above."""
    popularity_floor: PopularityFloor | None = None
    """Rows of item tables that stay as they are; null trains all rows, however few people are behind them."""
    signed_requests: bool = False
    """Whether devices sign every request with their key, so that a stolen access token is of no use."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of the server's initialisation and cohort choice."""

    @property
    def report_tensors(self) -> tuple[TensorSpec, ...]:
        """The tensors of a training report, without examples and metrics."""
        return self.report.tensors if self.report.tensors is not None else self.shared

    @property
    def fraction_bits(self) -> int:
        """Fraction bits of the fixed-point sum of this task's rounds."""
        bits = fixed_point.fraction_bits(
            maximum_weight=self.report.maximum_weight,
            maximum_norm=self.wire_norm,
            maximum_reports=self.rounds.maximum_reports,
            noise_multiplier=self._noise_to_wire_norm,
        )
        if self.opaque is None:
            return bits
        # Opaque reports have value_bits for each coordinate; where these suffice, the grid is that of plain reports.
        finest = largest_fraction_bits(
            clipping_norm=self.report.maximum_norm * (1 + self._own_noise),
            maximum_weight=self.report.maximum_weight,
            value_bits=self.opaque.value_bits,
        )
        return min(bits, finest)

    @property
    def opaque(self) -> SecureAggregation | HomomorphicEncryption | None:
        """What hides single reports from the server; None where it reads them."""
        return self.secure_aggregation or self.homomorphic_encryption

    @property
    def wire_norm(self) -> float:
        """L2 bound on one report as it is sent: with the noise, where the device adds enough for itself."""
        if not isinstance(self.privacy, LocalPrivacy):
            return self.report.maximum_norm
        coordinates = sum(spec.element_count for spec in self.report_tensors)
        # A Gaussian vector is longer than its deviation times sqrt(d) + 8 with a probability below 2**-46.
        deviations = 2 * self.privacy.noise_multiplier * (math.sqrt(coordinates) + 8)
        return self.report.maximum_norm * (1 + deviations)

    @property
    def honest_survivors(self) -> int:
        """Fewest participants in a released secure sum who do not collude."""
        if self.secure_aggregation is None or not isinstance(self.privacy, DistributedPrivacy):
            return 0
        fewest = max(self.secure_aggregation.minimum_cohort, self.rounds.minimum_reports)
        return fewest - math.floor(fewest * self.privacy.colluding_share)

    @property
    def _noise_to_wire_norm(self) -> float:
        """Deviation of the noise that is added in one piece, divided by the wire's norm."""
        match self.privacy:
            case CentralPrivacy():
                return self.privacy.largest_multiplier
            case LocalPrivacy():
                return 2 * self.privacy.noise_multiplier * self.report.maximum_norm / self.wire_norm
        return 0.0

    @property
    def _own_noise(self) -> float:
        """Room for one participant's part of distributed noise, in clipping norms: twelve deviations."""
        if not isinstance(self.privacy, DistributedPrivacy):
            return 0.0
        return 12 * self.privacy.noise_multiplier / math.sqrt(max(self.honest_survivors, 1))

    def body_tensors(self, *, is_evaluation: bool = False) -> tuple[TensorSpec, ...]:
        """All tensors of a report's body, in canonical order; an evaluation holds no model tensors."""
        tensors = () if is_evaluation else self.report_tensors
        scalars = [TensorSpec(name=EXAMPLES_TENSOR, dtype=DType.I64, shape=(1,))]
        if self.metrics:
            scalars.append(TensorSpec(name=METRICS_TENSOR, dtype=DType.F32, shape=(1 + len(self.metrics),)))
        if self.adaptive_clipping is not None and not is_evaluation:
            scalars.append(TensorSpec(name=CLIPPED_TENSOR, dtype=DType.I8, shape=(1,)))
        return (*tensors, *scalars)

    @property
    def adaptive_clipping(self) -> AdaptiveClipping | None:
        """How the clipping norm moves; None where it is `report.maximum_norm` throughout."""
        return self.privacy.clipping if isinstance(self.privacy, CentralPrivacy) else None

    @property
    def sampling(self) -> PoissonSampling | None:
        """How the server draws each round's participants; None where it takes whoever checks in."""
        return self.privacy.sampling if isinstance(self.privacy, CentralPrivacy) else None

    @property
    def correlated_noise(self) -> CorrelatedNoise | None:
        """How the noise of one round depends on that of earlier ones; None where it does not."""
        return self.privacy.correlated if isinstance(self.privacy, CentralPrivacy) else None

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the manifest's canonical JSON (sorted keys, no spaces, nothing that is off), in hexadecimal."""
        return hashlib.sha256(self._canonical.encode()).hexdigest()

    @cached_property
    def _canonical(self) -> str:
        return json.dumps(what_is_on(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

    def is_private(self, tensor_name: str) -> bool:
        """Whether a tensor of this name must never leave the device."""
        return any(fnmatch.fnmatchcase(tensor_name, pattern) for pattern in self.private)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_manifest(self)
        _ = self.fraction_bits  # refuses bounds that would leave too few bits
        _ = self.digest  # refuses NaN, infinities and text that is not Unicode
        if "\\u0000" in self._canonical:
            raise ValueError("a text holds a NUL character, which databases do not store")
        return self


def manifest_schema() -> dict[str, Any]:
    """JSON schema of a manifest, for editors and for docs."""
    return TaskManifest.model_json_schema()
