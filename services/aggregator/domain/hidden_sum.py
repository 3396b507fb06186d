"""The sum of reports that the server could not read, once it can be read, as the sum of plain ones."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fedrec_protocol import fixed_point
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.secagg.of_task import round_layout
from fedrec_protocol.secagg.quantise import CLIPPED, EVALUATIONS, WEIGHT, metric_name
from services.aggregator.domain.kernels import Accumulator
from services.aggregator.domain.layout import Layout


@dataclass(frozen=True)
class HiddenSum:
    """A round's sum without what hid its reports."""

    vector: Accumulator
    """On the coordinates of a plain round, int64."""
    report_count: int
    blamed: Mapping[str, str]
    """What is held against whom, though the sum is exact: words by client id."""


def plain_sum(total: Accumulator, manifest: TaskManifest, kind: RoundKind) -> Accumulator:
    """The same sum where a plain round has it: whole scalars instead of limbs, evaluations on the metrics' grid."""
    model, scalars = round_layout(manifest, kind).split(total)
    layout = Layout.of(manifest, kind)
    vector = np.zeros(layout.size, np.int64)
    vector[: layout.model_size] = model
    if layout.metric_names:
        sums = [scalars[metric_name(index)] for index in range(len(layout.metric_names))]
        vector[layout.metrics] = [scalars[EVALUATIONS] << fixed_point.METRIC_FRACTION_BITS, *sums]
    vector[layout.clipped] = scalars[CLIPPED] << fixed_point.METRIC_FRACTION_BITS
    vector[layout.weight] = scalars[WEIGHT]
    return vector
