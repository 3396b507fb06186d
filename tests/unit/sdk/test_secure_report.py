"""What a report's integers are before they are masked."""

import numpy as np
import pytest
from numpy.typing import NDArray

from fedrec_protocol import codec
from fedrec_protocol.manifest import EXAMPLES_TENSOR, METRICS_TENSOR, ReportFormat, RoundPolicy, Weighting
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.noise.random_bits import RandomBits
from fedrec_protocol.privacy import CentralPrivacy, DistributedPrivacy
from fedrec_protocol.secagg.of_task import round_layout
from fedrec_protocol.secure_aggregation import SecureAggregation
from fedrec_protocol.tensors import DType, TensorSpec
from fedrec_sdk import Rejected
from fedrec_sdk.clipping import l2_norm
from fedrec_sdk.secure_report import masked_vector
from tests.unit.sdk.conftest import popularity_manifest

COORDINATES = 50


def an_update_whose_norm_depends_on_the_order_of_summation() -> NDArray[np.float32]:
    """One that is as long as its clipping norm, and a rounding longer where BLAS adds up the squares."""
    generator = np.random.default_rng(0)
    while True:
        update = generator.normal(size=COORDINATES).astype(np.float32)
        if np.linalg.norm(update.astype(np.float64)) > l2_norm({"share": update}):
            return update


def test_counts_under_a_mask_that_have_no_noise_say_nothing_of_an_updates_length() -> None:
    update = an_update_whose_norm_depends_on_the_order_of_summation()
    manifest = popularity_manifest(
        shared=(TensorSpec(name="share", dtype=DType.F32, shape=(COORDINATES,)),),
        private=(),
        metrics=(),
        report=ReportFormat(maximum_norm=l2_norm({"share": update}), weighting=Weighting.UNIFORM),
        rounds=RoundPolicy(aggregation_goal=6),
        secure_aggregation=SecureAggregation(modulus_bits=40, value_bits=20, minimum_cohort=5),
        privacy=DistributedPrivacy(noise_multiplier=1.0, colluding_share=0.1, budget_epsilon=8.0, target_delta=1e-5),
    )
    body = codec.encode({"share": update, EXAMPLES_TENSOR: np.array([1], np.int64)})
    vector = masked_vector(manifest, RoundKind.TRAINING, body, {}, RandomBits(bytes(32)))
    _, counts = round_layout(manifest, RoundKind.TRAINING).split(vector)
    assert counts == {"weight": 1, "examples": 1, "evaluations": 0, "clipped": 0}


def test_under_a_mask_no_metric_exceeds_what_the_noise_is_scaled_to() -> None:
    manifest = popularity_manifest(
        report=ReportFormat(maximum_norm=10.0, weighting=Weighting.UNIFORM),
        rounds=RoundPolicy(aggregation_goal=6),
        secure_aggregation=SecureAggregation(modulus_bits=40, value_bits=32, minimum_cohort=5),
        privacy=CentralPrivacy(
            noise_multiplier=1.0, metrics_noise_multiplier=1.0, budget_epsilon=8.0, target_delta=1e-5
        ),
    )
    share = np.zeros(manifest.shared[0].shape, np.float32)

    def masked(*metrics: float) -> None:
        counts = {EXAMPLES_TENSOR: np.array([1], np.int64)}
        body = codec.encode({"share": share, **counts, METRICS_TENSOR: np.array(metrics, np.float32)})
        masked_vector(manifest, RoundKind.TRAINING, body, {"share": share}, RandomBits(bytes(32)))

    masked(2.0, 2.0, 0.5)
    for metrics in ((2.0, 2.5, 0.5), (2.0, 1.0, -0.1)):
        with pytest.raises(Rejected, match="between 0 and 1"):
            masked(*metrics)
