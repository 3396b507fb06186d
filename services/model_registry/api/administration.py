"""The registry's operator keys and audit log."""

from fedrec_protocol.messages import Role
from services.kit.administration import Administration, routes
from services.model_registry.api.access import operator
from services.model_registry.api.context import ContextDep
from services.model_registry.domain.errors import UnknownKey
from services.model_registry.storage import audit, operator_keys


def _here(context: ContextDep) -> Administration:
    pepper = context.settings.key_pepper
    return Administration(context.db, operator_keys.keys, audit.log, pepper, context.clock.now, UnknownKey)


router = routes(operator(Role.ADMIN), _here)
