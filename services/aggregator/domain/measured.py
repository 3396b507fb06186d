"""What the participants of a round measured of its base version."""

from dataclasses import dataclass

from services.aggregator.domain.aggregation.rule import Step
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
    def of(cls, vector: Accumulator, layout: Layout, step: Step | None = None) -> "Measured":
        """Read the metrics' coordinates of a round's sum, and what the rule has read from the rest of it.

        Noise may have made the number of evaluations negative.
        """
        sums = vector[layout.metrics] / layout.metric_scale
        evaluated = max(round(sums[0]), 0) if len(sums) else 0
        pairs = zip(layout.metric_names, sums[1:], strict=True) if evaluated else ()
        reported = {name: float(total / evaluated) for name, total in pairs}
        if step is None or not step.evaluated:
            return cls(evaluated, reported)
        return cls(step.evaluated, {**reported, **step.metrics})
