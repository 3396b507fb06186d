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

    def may_see(self, model: str) -> bool:
        """Whether a model exists as far as this caller is concerned."""
        return True


@dataclass(frozen=True)
class Participant:
    """A device that takes part in a task of one model."""

    client_id: str
    model: str

    def may_see(self, model: str) -> bool:
        """Whether a model exists as far as this caller is concerned."""
        return model == self.model


Caller = Operator | Participant


def require_role(caller: Caller, least: Role) -> Operator:
    """Pass operators whose role includes `least`.

    Raises:
        Forbidden: a lesser role, or a participant.
    """
    if not isinstance(caller, Operator) or _RANK[caller.role] < _RANK[least]:
        raise Forbidden(f"this needs an operator key of role {least}")
    return caller


def require_sight(caller: Caller, model: str) -> None:
    """Pass if the caller may know of the model.

    Raises:
        UnknownModel: it may not; the same answer as for a model that does not exist.
    """
    if not caller.may_see(model):
        raise UnknownModel(f"there is no model {model!r}")
