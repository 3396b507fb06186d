"""Who asks, and what they may do."""

from dataclasses import dataclass

from fedrec_protocol.messages import Role
from services.model_registry.domain.errors import Forbidden, UnknownModel

_RANK = {role: rank for rank, role in enumerate((Role.READ, Role.RUN, Role.ADMIN))}


@dataclass(frozen=True)
class Operator:
    """Somebody with an operator key."""

    key_id: str
    name: str
    role: Role

    def require(self, role: Role) -> None:
        """Pass if the key's role includes `role`.

        Raises:
            Forbidden: it does not.
        """
        if _RANK[self.role] < _RANK[role]:
            raise Forbidden(f"this needs a key of role {role}; yours is {self.role}")

    def may_see(self, model: str) -> bool:
        """Whether a model exists as far as this caller is concerned."""
        return True


@dataclass(frozen=True)
class Participant:
    """A device that takes part in a task of one model."""

    client_id: str
    model: str

    def require(self, role: Role) -> None:
        """Refuse: participants do nothing that needs an operator.

        Raises:
            Forbidden: always.
        """
        raise Forbidden(f"this needs an operator key of role {role}")

    def may_see(self, model: str) -> bool:
        """Whether a model exists as far as this caller is concerned."""
        return model == self.model


Caller = Operator | Participant


def require_sight(caller: Caller, model: str) -> None:
    """Pass if the caller may know of the model.

    Raises:
        UnknownModel: it may not; the same answer as for a model that does not exist.
    """
    if not caller.may_see(model):
        raise UnknownModel(f"there is no model {model!r}")
