"""One row of the table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AtMost:
    """Smaller is better, and this is what was promised."""

    bound: float

    def is_met_by(self, value: float) -> bool:
        """Whether a value keeps the promise."""
        return value <= self.bound

    def __str__(self) -> str:
        return f"≤ {self.bound:g}"


@dataclass(frozen=True)
class AtLeast:
    """Larger is better, and this is what was promised."""

    bound: float

    def is_met_by(self, value: float) -> bool:
        """Whether a value keeps the promise."""
        return value >= self.bound

    def __str__(self) -> str:
        return f"≥ {self.bound:g}"


@dataclass(frozen=True)
class Measurement:
    """What was measured, and the mark that it has to meet."""

    what: str
    """In words, with the size of the problem."""
    value: float
    unit: str
    """Empty for a ratio."""
    mark: AtMost | AtLeast | None = None
    """None: for information."""
    remark: str = ""
    """How the value came about, or what to compare it with."""

    @property
    def is_met(self) -> bool:
        """Whether the mark is met; without a mark there is nothing to miss."""
        return self.mark is None or self.mark.is_met_by(self.value)
