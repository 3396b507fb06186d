"""Whether all noise that a task will ever draw fits its grid: asked before the task exists, not in its first round."""

from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.noise.local import local_bound_steps, local_variance
from fedrec_protocol.privacy import CentralPrivacy, LocalPrivacy
from services.aggregator.domain.layout import Layout
from services.aggregator.domain.privacy.adaptive_clipping import SMALLEST_SHARE
from services.aggregator.domain.privacy.central import NoisePlan, require_drawable
from services.aggregator.domain.privacy.task import clip_count_noise, metrics_sensitivity, model_sensitivity


def check_noise(manifest: TaskManifest) -> None:
    """Refuse noise that spans too few steps of the grid to be priced, or too many to be drawn.

    Noise inside masks has its own check, `DistributedNoise.of`.

    Raises:
        GridTooCoarse, GridTooFine: saying what to change.
    """
    policy, layout = manifest.privacy, Layout.of(manifest, RoundKind.TRAINING)
    match policy:
        case CentralPrivacy():
            for plan in _plans(manifest, policy, layout):
                require_drawable(plan.variance_steps)
        case LocalPrivacy():
            bound = local_bound_steps(manifest.report.maximum_norm, layout.scale, layout.model_size)
            require_drawable(local_variance(bound, policy.noise_multiplier))


def _plans(manifest: TaskManifest, policy: CentralPrivacy, layout: Layout) -> list[NoisePlan]:
    """The narrowest and the widest noise on the model, and that on metrics and on the count of clipped reports."""
    largest = manifest.report.maximum_norm
    smallest = largest if policy.clipping is None else largest * SMALLEST_SHARE
    multipliers = (policy.noise_multiplier, *policy.noise_schedule)
    plans = [
        NoisePlan(model_sensitivity(layout, norm), multiplier)
        for norm, multiplier in ((smallest, min(multipliers)), (largest, max(multipliers)))
    ]
    if layout.metric_names and policy.metrics_noise_multiplier is not None:
        plans.append(NoisePlan(metrics_sensitivity(layout, manifest), policy.metrics_noise_multiplier))
    if policy.clipping is not None:
        plans.append(clip_count_noise(policy.clipping))
    return plans
