"""The privacy ledger of a model lineage: charged before anything is released, and final."""

from pydantic import Field, PositiveFloat

from fedrec_protocol.base import Message
from services.aggregator.domain.privacy.accountant import epsilon
from services.aggregator.domain.privacy.events import Charge
from services.aggregator.domain.privacy.participation import ParticipationLimit


class BudgetExceeded(ValueError):
    """The next release would spend more than the lineage has; no round is opened."""


class ConflictingCharge(ValueError):
    """A charge of this id was entered with other contents."""


class Budget(Message):
    """What a lineage may ever spend on one user."""

    epsilon: PositiveFloat
    """Largest epsilon."""
    delta: float = Field(gt=0, lt=1)
    """At this delta; choose it well below one divided by the number of users."""


class Ledger(Message):
    """Everything that was released from one lineage of models; epsilon is computed from it on reading."""

    lineage: str
    """The models that descend from one initialisation on these users' data."""
    budget: Budget
    """What may be spent."""
    limit: ParticipationLimit
    """How often one user takes part."""
    charges: tuple[Charge, ...] = ()
    """In the order of entry."""

    @property
    def spent(self) -> float:
        """Epsilon, at the budget's delta, of what was released."""
        return epsilon(self.charges, self.limit, self.budget.delta)

    def with_charge(self, charge: Charge) -> "Ledger":
        """The ledger after a charge; the same charge again changes nothing.

        A crash between the charge and the release costs the charge: what may have been seen is counted. A
        run that draws fresh noise has a new id and is charged anew.

        Raises:
            ConflictingCharge: another charge has this id.
        """
        for entered in self.charges:
            if entered.charge_id == charge.charge_id:
                if entered != charge:
                    raise ConflictingCharge(f"charge {charge.charge_id} was entered with other contents")
                return self
        return self.model_copy(update={"charges": (*self.charges, charge)})

    def require_room_for(self, charge: Charge, outstanding: tuple[Charge, ...] = ()) -> None:
        """Refuse to open a round whose release would overspend.

        Args:
            charge: What the round would release at its close.
            outstanding: The same of the rounds that are open already.

        Raises:
            BudgetExceeded: spent plus outstanding plus this is more than the budget.
            UnsupportedRelease: there is no proven price for it beside what was released.
        """
        after = self
        for expected in (*outstanding, charge):
            after = after.with_charge(expected)
        total = after.spent
        if total > self.budget.epsilon:
            raise BudgetExceeded(
                f"round {charge.round_number} would bring epsilon to {total:.3f} of {self.budget.epsilon:g} "
                f"at delta {self.budget.delta:g}"
            )
