"""The model registry's HTTP service: `uvicorn --factory services.model_registry.app:create_app`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Depends, FastAPI
from sqlalchemy import Connection, select

from fedrec_protocol.messages import Role
from services.kit import body_limit, dashboard, health, keys, logs, metrics, observation, openapi
from services.kit import problems as kit_problems
from services.kit.clock import Clock, SystemClock
from services.kit.db import Database
from services.kit.objects import open_home
from services.kit.rate_limits import RateLimit
from services.kit.service import Service
from services.model_registry.api import (
    administration,
    aliases,
    download,
    item_catalogues,
    models,
    problems,
    upload,
    versions,
)
from services.model_registry.api.access import operator
from services.model_registry.api.context import Context
from services.model_registry.api.descriptions import TAGS
from services.model_registry.api.pieces import Pieces, Places
from services.model_registry.api.token_keys import TokenKeys
from services.model_registry.domain.errors import RegistryError
from services.model_registry.housekeeping import keep_house
from services.model_registry.settings import Settings
from services.model_registry.storage import operator_keys, tables

_DESCRIPTION = """Keeps models: immutable versions with their lineage and metrics, the weights, and aliases
such as `production`.

Operators use keys; participants use the access tokens that the aggregator gives them, and see the model
of their own task. Refusals are problem documents (RFC 9457): their `type` is a page that explains them."""

_DASHBOARD = Path(__file__).parent / "static" / "dashboard"
_LONGEST_UPLOAD_SECONDS = 600
"""A transaction that stores weights is silent while their bytes go to S3; it holds no lock that others wait for."""


def create_app(settings: Settings | None = None, clock: Clock | None = None) -> Service:
    """The service; settings come from the environment unless they are given."""
    settings = settings or Settings.read()
    logs.configure(settings.log_level)
    context = make_context(settings, clock or SystemClock())
    app = Service(
        title="fedrec model registry",
        version="1",
        description=_DESCRIPTION,
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    app.state.context = context
    for module in (models, upload, versions, download, aliases, item_catalogues, administration):
        app.include_router(module.router)
    kit_problems.install(app, RegistryError, problems.STATUS)
    body_limit.install(app, except_for=r"^/v1/weights/[^/]+$")
    openapi.install(app)
    dashboard.install(app, _DASHBOARD, other_service=settings.public_aggregator_url)
    health.install(app, {"database": lambda: context.db.run("ping", _look)})
    metrics.install(app, [Depends(operator(Role.READ))])
    observation.install(app, "model-registry")
    return app


def make_context(settings: Settings, clock: Clock) -> Context:
    """The stores that the settings name."""
    db = Database(settings.database_url, pool_size=10, longest_idle_seconds=_LONGEST_UPLOAD_SECONDS)
    home = open_home(settings.object_home, tables.object_homes)

    def read(key: str, start: int, end: int) -> bytes:
        return db.run("read_piece", lambda tx: home.read_range(tx, key, start, end))

    return Context(
        settings=settings,
        clock=clock,
        db=db,
        home=home,
        token_keys=TokenKeys(settings.jwks_url),
        pieces=Pieces(read, settings.cache_bytes),
        places=Places(settings.maximum_downloads),
        participants=RateLimit("participant", settings.rates.participants),
        operators=RateLimit("operator", settings.rates.operators),
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    await asyncio.to_thread(_bootstrap, context)
    house = asyncio.create_task(keep_house(context))
    try:
        yield
    finally:
        house.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await house
        await context.pieces.settle()
        context.db.dispose()


def _bootstrap(context: Context) -> None:
    """Store the keys that a deployment starts with."""
    settings, now = context.settings, context.clock.now()
    given = (
        ("bootstrap", Role.ADMIN, settings.bootstrap_admin_key),
        ("aggregator", Role.RUN, settings.bootstrap_run_key),
    )

    def step(tx: Connection) -> None:
        for name, role, secret in given:
            if secret is not None:
                key = keys.from_secret(secret, settings.key_pepper)
                operator_keys.keys.add_once(tx, key, name=name, role=role, now=now)

    context.db.run("bootstrap", step)


def _look(tx: Connection) -> None:
    tx.execute(select(tables.models.c.name).limit(1)).all()
