"""What the participants of a round measured of its base version."""

from dataclasses import dataclass

from services.aggregator.domain.kernels import Accumulator
from services.aggregator.domain.layout import Layout


@dataclass(frozen=True)
class Measured:
    """Means over all evaluations of a round."""

    evaluated: int
    """Evaluations behind the means."""
    metrics: dict[str, float]
    """Means by name; empty when nothing was evaluated."""

    @classmethod
    def of(cls, vector: Accumulator, layout: Layout) -> "Measured":
        """Read the metrics' coordinates of a round's sum; noise may have made the number of evaluations negative."""
        sums = vector[layout.metrics] / layout.metric_scale
        evaluated = max(round(sums[0]), 0) if len(sums) else 0
        if not evaluated:
            return cls(0, {})
        pairs = zip(layout.metric_names, sums[1:], strict=True)
        return cls(evaluated, {name: float(total / evaluated) for name, total in pairs})
