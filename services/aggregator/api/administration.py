"""The aggregator's operator keys and audit log."""

from fastapi import Request

from fedrec_protocol.messages import Role
from services.aggregator.api.access import access_of, operator
from services.aggregator.domain.errors import UnknownKey
from services.aggregator.storage import audit, operator_keys
from services.kit.administration import Administration, routes


def _here(request: Request) -> Administration:
    access = access_of(request)
    context = access.context
    return Administration(context.db, operator_keys.keys, audit.log, access.pepper, context.now, UnknownKey)


router = routes(operator(Role.ADMIN), _here)
