"""What every request needs: made once for each process."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from services.kit.clock import Clock
from services.kit.db import Database
from services.kit.objects import ObjectHome
from services.kit.rate_limits import RateLimit
from services.model_registry.api.pieces import Pieces, Places
from services.model_registry.api.token_keys import TokenKeys
from services.model_registry.settings import Settings


@dataclass(frozen=True)
class Context:
    """The process's stores, and what it remembers."""

    settings: Settings
    clock: Clock
    db: Database
    home: ObjectHome
    token_keys: TokenKeys
    pieces: Pieces
    places: Places
    participants: RateLimit
    operators: RateLimit


async def context_of(request: Request) -> Context:
    """The process's stores."""
    context: Context = request.app.state.context
    return context


ContextDep = Annotated[Context, Depends(context_of)]
