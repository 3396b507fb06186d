"""The task manifest: everything that participants and the aggregator agree on before the first round."""

import fnmatch
import hashlib
import json
import math
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import Field, JsonValue, PositiveFloat, PositiveInt, StringConstraints, model_validator

from fedrec_protocol import codec, fixed_point
from fedrec_protocol.base import Message
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
from fedrec_protocol.secagg.grid import largest_fraction_bits
from fedrec_protocol.secure_aggregation import SecureAggregation
from fedrec_protocol.tensors import MAXIMUM_ELEMENTS, DType, TensorSpec

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9\-_.]{0,62}$")]
"""A name in a URL: lower-case letters, digits, dash, dot and underscore."""

MetricName = Annotated[str, StringConstraints(pattern=r"^[^\x00]{1,200}$")]
"""A metric such as `hr@10`."""

LONGEST_NAME = 190
"""Of a tensor that a task trains; rules keep tensors of their own under these names with a prefix."""
EXAMPLES_TENSOR = "fedrec.examples"
"""I64 [1]: the number of examples n_k that the report was trained on."""
METRICS_TENSOR = "fedrec.metrics"
"""F32 [1 + number of metrics]: evaluations made, then the sum of each metric over them."""
CLIPPED_TENSOR = "fedrec.clipped"
"""I8 [1]: whether the update was longer than the clipping norm, where the norm is adaptive."""

_EXTRA_HEADER_BYTES = 256
"""Header entries of `fedrec.examples`, `fedrec.metrics` and `fedrec.clipped`."""


class RecipeChoice(Message):
    """Which recommender this task trains."""

    name: Name
    """Name of a recipe that the app knows: `autoencoder`, `mf`, or the app's own."""
    config: dict[str, JsonValue] = {}
    """The recipe's own configuration, e.g. the number of items and the embedding dimension."""


class TrainingPlan(Message):
    """What a participant does with its own examples in one training round."""

    epochs: PositiveInt = 1
    """Passes over the local examples."""
    batch_size: PositiveInt = 32
    """Examples in one gradient step."""
    learning_rate: PositiveFloat = 0.1
    """Step size of the local optimizer."""
    options: dict[str, JsonValue] = {}
    """Further options that the recipe documents."""


class ReportContent(StrEnum):
    """What the tensors of a report are."""

    DELTA = "delta"  # local parameters minus base parameters
    PARAMETERS = "parameters"  # local parameters; the server subtracts the base while folding
    STATISTICS = "statistics"  # sums over the participant's examples, e.g. a Gram matrix


class Weighting(StrEnum):
    """How much one report counts."""

    EXAMPLES = "examples"  # n_k, the number of examples
    UNIFORM = "uniform"  # one


class ReportFormat(Message):
    """What a report holds, and the bounds that make an overflow of the sum impossible."""

    content: ReportContent = ReportContent.DELTA
    """`delta`, `parameters` or `statistics`."""
    tensors: tuple[TensorSpec, ...] | None = None
    """The tensors of a report; null means the shared tensors as they are."""
    weighting: Weighting = Weighting.EXAMPLES
    """Weight of a report: its number of examples, or one."""
    maximum_examples: PositiveInt = 10_000
    """Largest number of examples one report may claim; the SDK caps its claim, the server refuses more."""
    maximum_norm: PositiveFloat = 100.0
    """L2 bound on all tensors of one report together (of the delta, for `parameters`); the SDK scales a
    longer update down to it, the server refuses it."""

    maximum_evaluations: PositiveInt = 1000
    """Largest number of evaluations one report may claim."""

    @property
    def maximum_weight(self) -> int:
        """Largest weight of one report."""
        return self.maximum_examples if self.weighting is Weighting.EXAMPLES else 1


class AggregationRule(Message):
    """How the sum of a round becomes the next parameters."""

    rule: Name = "fedavg"
    """Name of a rule the aggregator knows."""
    params: dict[str, JsonValue] = {}
    """The rule's own parameters, e.g. `{"momentum": 0.9}` for `fedavgm`."""


class RoundPolicy(Message):
    """When a round closes, and how many participants are asked."""

    aggregation_goal: PositiveInt
    """Number of reports that closes a round at once."""
    minimum_reports: PositiveInt = 1
    """Reports needed at the deadline; with fewer the round is abandoned and nothing is released."""
    over_selection_factor: float = Field(default=1.0, ge=1.0, le=4.0)
    """Assignments issued divided by the aggregation goal."""
    deadline_seconds: float = Field(default=600.0, gt=0, le=30 * 86400)
    """Time from opening a round to closing it."""
    report_timeout_seconds: float | None = Field(default=None, gt=0, le=30 * 86400)
    """Time one participant has to report before its place goes to another; null means until the deadline."""
    maximum_participations: PositiveInt | None = None
    """Rounds one participant may report in over the whole task; null means no limit."""
    minimum_separation: PositiveInt = 1
    """Rounds between two reports of one participant; 1 allows every round."""

    @property
    def cohort_size(self) -> int:
        """Assignments that may be out or reported at once."""
        return -int(-self.aggregation_goal * self.over_selection_factor // 1)

    @property
    def maximum_reports(self) -> int:
        """Assignments ever issued in one round: expired ones are replaced, but not for ever."""
        return 4 * self.cohort_size

    @model_validator(mode="after")
    def _floor_below_goal(self) -> Self:
        if self.minimum_reports > self.aggregation_goal:
            raise ValueError("minimum_reports is larger than aggregation_goal: no round could close early")
        if self.maximum_reports > fixed_point.MAXIMUM_REPORTS:
            raise ValueError(f"at most {fixed_point.MAXIMUM_REPORTS} assignments fit in one round")
        return self


class Convergence(Message):
    """Stop when a federated metric no longer improves."""

    metric: str
    """One of the manifest's metrics."""
    patience: PositiveInt = 5
    """Rounds without an improvement after which the task completes."""
    minimum_improvement: float = Field(default=0.0, ge=0)
    """What counts as an improvement, in the metric's unit; larger is better."""


class StopCriteria(Message):
    """When a task completes: on whichever comes first."""

    round_budget: PositiveInt
    """Training rounds at most."""
    convergence: Convergence | None = None
    """Stop earlier when a metric has converged."""


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
    popularity_floor: PopularityFloor | None = None
    """Rows of item tables that stay as they are; null trains all rows, however few people are behind them."""
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
        if self.secure_aggregation is None:
            return bits
        # Masked reports have value_bits for each coordinate; where these suffice, the grid is that of plain reports.
        finest = largest_fraction_bits(
            clipping_norm=self.report.maximum_norm * (1 + self._own_noise),
            maximum_weight=self.report.maximum_weight,
            value_bits=self.secure_aggregation.value_bits,
        )
        return min(bits, finest)

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
        """SHA-256 of the manifest's canonical JSON (sorted keys, no spaces), in hexadecimal."""
        return hashlib.sha256(self._canonical.encode()).hexdigest()

    @cached_property
    def _canonical(self) -> str:
        content = self.model_dump(mode="json")
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

    def is_private(self, tensor_name: str) -> bool:
        """Whether a tensor of this name must never leave the device."""
        return any(fnmatch.fnmatchcase(tensor_name, pattern) for pattern in self.private)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_names(self.shared, "shared")
        _check_names(self.report_tensors, "report")
        for specs in {self.shared, self.report_tensors}:
            _check_size(specs)
        for spec in (*self.shared, *self.report_tensors):
            if self.is_private(spec.name):
                raise ValueError(f"tensor {spec.name!r} is shared, but matches a private pattern")
        if self.report.content is not ReportContent.STATISTICS:
            _check_shapes(self.shared, self.report_tensors)
        if len(set(self.metrics)) != len(self.metrics):
            raise ValueError("a metric is named twice")
        convergence = self.stop.convergence
        if convergence is not None and convergence.metric not in self.metrics:
            raise ValueError(f"convergence metric {convergence.metric!r} is not one of the task's metrics")
        self._check_privacy()
        self._check_secure_aggregation()
        if self.popularity_floor is not None:
            _check_floor(self.popularity_floor, self.shared, self.report.content)
        _ = self.fraction_bits  # refuses bounds that would leave too few bits
        _ = self.digest  # refuses NaN, infinities and text that is not Unicode
        if "\\u0000" in self._canonical:
            raise ValueError("a text holds a NUL character, which databases do not store")
        return self

    def _check_privacy(self) -> None:
        if self.privacy is None:
            return
        if self.report.weighting is not Weighting.UNIFORM:
            raise ValueError("with privacy, every participant counts the same: set report.weighting to 'uniform'")
        if not isinstance(self.privacy, CentralPrivacy):
            self._check_own_noise(self.privacy)
            return
        if self.metrics and self.privacy.metrics_noise_multiplier is None:
            raise ValueError("metrics are released too: set privacy.metrics_noise_multiplier, or measure none")
        if self.privacy.correlated is not None:
            self._check_correlated(self.privacy, self.privacy.correlated.bands)
        if self.privacy.sampling is not None:
            self._check_sampling()
        if self.adaptive_clipping is not None:
            self._check_adaptive_clipping(self.adaptive_clipping)

    def _check_own_noise(self, privacy: DistributedPrivacy | LocalPrivacy) -> None:
        """Noise that devices add covers the model's coordinates only."""
        if self.metrics:
            raise ValueError(f"with {privacy.mechanism} privacy metrics would have no noise: measure none")
        if isinstance(privacy, DistributedPrivacy):
            if self.secure_aggregation is None:
                raise ValueError("distributed noise protects nobody without masks: set secure_aggregation")
            return
        if self.secure_aggregation is not None:
            raise ValueError("reports with local privacy need no masks: leave secure_aggregation null")
        if self.report.content is not ReportContent.DELTA:
            raise ValueError("local noise is added to an update: set report.content to 'delta'")
        if not all(spec.dtype in {DType.F32, DType.F64} for spec in self.report_tensors):
            raise ValueError("local noise does not fit narrow element types: report F32 or F64")

    def _check_correlated(self, privacy: CentralPrivacy, bands: int) -> None:
        if self.rounds.minimum_separation < bands:
            raise ValueError(
                f"privacy.correlated with {bands} bands needs rounds.minimum_separation of at least {bands}"
            )
        if privacy.sampling is not None or privacy.clipping is not None or privacy.noise_schedule:
            raise ValueError("correlated noise is one mechanism over all rounds: its noise and norm cannot change")

    def _check_sampling(self) -> None:
        """Everybody who is enrolled has the same coin in every round: nothing else may decide who takes part."""
        rounds = self.rounds
        if rounds.maximum_participations is not None or rounds.minimum_separation > 1:
            raise ValueError("with privacy.sampling, coins alone decide who takes part: leave the rounds' caps out")
        if rounds.over_selection_factor > 1 or rounds.report_timeout_seconds is not None:
            raise ValueError("with privacy.sampling nobody replaces another: leave over-selection and timeouts out")
        if self.secure_aggregation is not None:
            raise ValueError("sampling hides who was drawn, and rosters of secure aggregation show it: choose one")

    def _check_adaptive_clipping(self, clipping: AdaptiveClipping) -> None:
        if self.report.content is ReportContent.STATISTICS:
            raise ValueError("statistics are bounded by their recipe: leave privacy.clipping null")
        if clipping.initial_norm > self.report.maximum_norm:
            raise ValueError("privacy.clipping.initial_norm is larger than report.maximum_norm, the largest norm")

    def _check_secure_aggregation(self) -> None:
        if self.secure_aggregation is None:
            return
        self.secure_aggregation.require_room_for(self.rounds.cohort_size)
        if self.rounds.report_timeout_seconds is not None:
            raise ValueError("with secure aggregation nobody is replaced: leave rounds.report_timeout_seconds null")


def _check_names(specs: tuple[TensorSpec, ...], where: str) -> None:
    names = [spec.name for spec in specs]
    if len(set(names)) != len(names):
        raise ValueError(f"a {where} tensor is named twice")
    if any(len(name) > LONGEST_NAME for name in names):
        raise ValueError(f"names of {where} tensors have at most {LONGEST_NAME} characters")
    if any(name.startswith("fedrec.") for name in names):
        raise ValueError("tensor names that start with 'fedrec.' are reserved")


def _check_size(specs: tuple[TensorSpec, ...]) -> None:
    """A file of these tensors, with examples and metrics, must be one that every reader accepts."""
    header_bytes = len(codec.encode_header(list(specs)))
    if header_bytes > codec.MAXIMUM_HEADER_BYTES - _EXTRA_HEADER_BYTES:
        raise ValueError(f"a file of these tensors has a header of {header_bytes} bytes: use fewer or shorter names")
    if sum(spec.element_count for spec in specs) > MAXIMUM_ELEMENTS:
        raise ValueError(f"the tensors hold more than {MAXIMUM_ELEMENTS} elements")


def _check_floor(floor: PopularityFloor, shared: tuple[TensorSpec, ...], content: ReportContent) -> None:
    if content is ReportContent.STATISTICS:
        raise ValueError("popularity_floor holds rows of trained tables; statistics have none")
    shapes = {spec.name: spec.shape for spec in shared}
    missing = [name for name in (floor.share, *floor.tables) if name not in shapes]
    if missing:
        raise ValueError(f"popularity_floor names {missing[0]!r}, which is no shared tensor")
    if floor.share in floor.tables:
        raise ValueError("popularity_floor.share must move while rows are held: it cannot be one of the tables")
    if len(shapes[floor.share]) != 1 or any(shapes[name][:1] != shapes[floor.share] for name in floor.tables):
        raise ValueError("popularity_floor.share has one element for each row of the tables")


def _check_shapes(shared: tuple[TensorSpec, ...], report: tuple[TensorSpec, ...]) -> None:
    """Parameters and deltas have the shared tensors' names and shapes; element types may be narrower."""
    if [(spec.name, spec.shape) for spec in shared] != [(spec.name, spec.shape) for spec in report]:
        raise ValueError("a report of parameters or deltas holds the shared tensors' names and shapes, in order")
    if not all(spec.dtype.is_floating for spec in (*shared, *report)):
        raise ValueError("parameters and deltas are floating-point tensors; keep integer buffers private")


def manifest_schema() -> dict[str, Any]:
    """JSON schema of a manifest, for editors and for docs."""
    return TaskManifest.model_json_schema()
