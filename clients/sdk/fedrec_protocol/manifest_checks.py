"""What the parts of a manifest have to be for each other."""

from typing import TYPE_CHECKING

from fedrec_protocol import codec
from fedrec_protocol.homomorphic_encryption import LEAST_REPORTS, HomomorphicEncryption
from fedrec_protocol.popularity_floor import ITEM_POPULARITY, PopularityFloor
from fedrec_protocol.privacy import AdaptiveClipping, CentralPrivacy, DistributedPrivacy, LocalPrivacy
from fedrec_protocol.report_format import ReportContent, Weighting
from fedrec_protocol.tensors import MAXIMUM_ELEMENTS, DType, TensorSpec

if TYPE_CHECKING:
    from fedrec_protocol.manifest import TaskManifest

LONGEST_NAME = 190
"""Of a tensor that a task trains; rules keep tensors of their own under these names with a prefix."""
_EXTRA_HEADER_BYTES = 256
"""Header entries of `fedrec.examples`, `fedrec.metrics` and `fedrec.clipped`."""


def check_manifest(manifest: "TaskManifest") -> None:
    """Refuse parts that do not fit together.

    Raises:
        ValueError: saying what to change.
    """
    _check_names(manifest.shared, "shared")
    _check_names(manifest.report_tensors, "report")
    for specs in {manifest.shared, manifest.report_tensors}:
        _check_size(specs)
    for spec in (*manifest.shared, *manifest.report_tensors):
        if manifest.is_private(spec.name):
            raise ValueError(f"tensor {spec.name!r} is shared, but matches a private pattern")
    if manifest.report.content is not ReportContent.STATISTICS:
        _check_shapes(manifest.shared, manifest.report_tensors)
    if len(set(manifest.metrics)) != len(manifest.metrics):
        raise ValueError("a metric is named twice")
    convergence = manifest.stop.convergence
    if convergence is not None and convergence.metric not in manifest.metrics:
        raise ValueError(f"convergence metric {convergence.metric!r} is not one of the task's metrics")
    _check_privacy(manifest)
    _check_secure_aggregation(manifest)
    if manifest.homomorphic_encryption is not None:
        _check_encryption(manifest, manifest.homomorphic_encryption)
    if manifest.popularity_floor is not None:
        _check_floor(manifest.popularity_floor, manifest.shared, manifest.report.content)


def _check_privacy(manifest: "TaskManifest") -> None:
    if manifest.privacy is None:
        return
    if manifest.report.weighting is not Weighting.UNIFORM:
        raise ValueError("with privacy, every participant counts the same: set report.weighting to 'uniform'")
    if not isinstance(manifest.privacy, CentralPrivacy):
        _check_own_noise(manifest, manifest.privacy)
        return
    if manifest.metrics and manifest.privacy.metrics_noise_multiplier is None:
        raise ValueError("metrics are released too: set privacy.metrics_noise_multiplier, or measure none")
    if manifest.privacy.correlated is not None:
        _check_correlated(manifest, manifest.privacy, manifest.privacy.correlated.bands)
    if manifest.privacy.sampling is not None:
        _check_sampling(manifest)
    if manifest.adaptive_clipping is not None:
        _check_adaptive_clipping(manifest, manifest.adaptive_clipping)


def _check_own_noise(manifest: "TaskManifest", privacy: DistributedPrivacy | LocalPrivacy) -> None:
    """Noise that devices add covers the model's coordinates only."""
    if manifest.metrics:
        raise ValueError(f"with {privacy.mechanism} privacy metrics would have no noise: measure none")
    if isinstance(privacy, DistributedPrivacy):
        if manifest.secure_aggregation is None:
            raise ValueError("distributed noise protects nobody without masks: set secure_aggregation")
        return
    if manifest.secure_aggregation is not None:
        raise ValueError("reports with local privacy need no masks: leave secure_aggregation null")
    if manifest.report.content is not ReportContent.DELTA:
        raise ValueError("local noise is added to an update: set report.content to 'delta'")
    if not all(spec.dtype in {DType.F32, DType.F64} for spec in manifest.report_tensors):
        raise ValueError("local noise does not fit narrow element types: report F32 or F64")


def _check_correlated(manifest: "TaskManifest", privacy: CentralPrivacy, bands: int) -> None:
    if manifest.rounds.minimum_separation < bands:
        raise ValueError(f"privacy.correlated with {bands} bands needs rounds.minimum_separation of at least {bands}")
    if privacy.sampling is not None or privacy.clipping is not None or privacy.noise_schedule:
        raise ValueError("correlated noise is one mechanism over all rounds: its noise and norm cannot change")


def _check_sampling(manifest: "TaskManifest") -> None:
    """Everybody who is enrolled has the same coin in every round: nothing else may decide who takes part."""
    rounds = manifest.rounds
    if rounds.maximum_participations is not None or rounds.minimum_separation > 1:
        raise ValueError("with privacy.sampling, coins alone decide who takes part: leave the rounds' caps out")
    if rounds.over_selection_factor > 1 or rounds.report_timeout_seconds is not None:
        raise ValueError("with privacy.sampling nobody replaces another: leave over-selection and timeouts out")
    if manifest.secure_aggregation is not None:
        raise ValueError("sampling hides who was drawn, and rosters of secure aggregation show it: choose one")


def _check_adaptive_clipping(manifest: "TaskManifest", clipping: AdaptiveClipping) -> None:
    if manifest.report.content is ReportContent.STATISTICS:
        raise ValueError("statistics are bounded by their recipe: leave privacy.clipping null")
    if clipping.initial_norm > manifest.report.maximum_norm:
        raise ValueError("privacy.clipping.initial_norm is larger than report.maximum_norm, the largest norm")


def _check_secure_aggregation(manifest: "TaskManifest") -> None:
    if manifest.secure_aggregation is None:
        return
    manifest.secure_aggregation.require_room_for(manifest.rounds.cohort_size)
    if manifest.rounds.report_timeout_seconds is not None:
        raise ValueError("with secure aggregation nobody is replaced: leave rounds.report_timeout_seconds null")


def _check_encryption(manifest: "TaskManifest", terms: HomomorphicEncryption) -> None:
    terms.require_room_for(manifest.rounds.cohort_size)
    if manifest.secure_aggregation is not None:
        raise ValueError("reports are masked or encrypted: set secure_aggregation or homomorphic_encryption")
    if manifest.privacy is not None:
        raise ValueError(
            "silos decrypt the exact sum, so noise on what is published would not protect it from them: "
            "leave privacy null, or set secure_aggregation with privacy.mechanism 'distributed'"
        )
    if manifest.rounds.minimum_reports < max(terms.decryption_quorum, LEAST_REPORTS):
        raise ValueError(
            "in a sum of two each silo reads the other's report, and only those who reported decrypt: set "
            f"rounds.minimum_reports to {max(terms.decryption_quorum, LEAST_REPORTS)} or more"
        )
    if manifest.rounds.report_timeout_seconds is not None:
        raise ValueError("with encrypted reports nobody is replaced: leave rounds.report_timeout_seconds null")


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
        raise ValueError(
            "popularity_floor holds rows of trained tables: sums of statistics have none; add noise, or a larger cohort"
        )
    shapes = {spec.name: spec.shape for spec in shared}
    missing = [name for name in (floor.share, *floor.tables) if name not in shapes]
    if missing:
        counted = ": set counts_people in the recipe's configuration" if missing[0] == ITEM_POPULARITY else ""
        raise ValueError(f"popularity_floor names {missing[0]!r}, which is no shared tensor{counted}")
    if floor.share in floor.tables:
        raise ValueError("popularity_floor.share must move while rows are held: it cannot be one of the tables")
    rows = shapes[floor.share]
    if len(rows) != 1 or any(rows not in {shapes[name][:1], shapes[name][-1:]} for name in floor.tables):
        raise ValueError("popularity_floor.share has one element for each row of the tables, or for each column")


def _check_shapes(shared: tuple[TensorSpec, ...], report: tuple[TensorSpec, ...]) -> None:
    """Parameters and deltas have the shared tensors' names and shapes; element types may be narrower."""
    if [(spec.name, spec.shape) for spec in shared] != [(spec.name, spec.shape) for spec in report]:
        raise ValueError("a report of parameters or deltas holds the shared tensors' names and shapes, in order")
    if not all(spec.dtype.is_floating for spec in (*shared, *report)):
        raise ValueError("parameters and deltas are floating-point tensors; keep integer buffers private")
