"""The aggregator's HTTP service: `uvicorn --factory services.aggregator.app:create_app`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI
from sqlalchemy import text

from fedrec_protocol.messages import Role
from services.aggregator import keys as derived
from services.aggregator.api import (
    administration,
    check_ins,
    encrypted,
    enrolment,
    problems,
    reports,
    secure,
    task_credentials,
    tasks,
)
from services.aggregator.api.access import Access, operator
from services.aggregator.api.body_budget import BodyBudget, Pace
from services.aggregator.api.check_in_desk import CheckInDesk
from services.aggregator.api.descriptions import TAGS
from services.aggregator.api.intake import Intake
from services.aggregator.api.short_cut import ShortCut
from services.aggregator.api.waiting_room import WaitingRoom
from services.aggregator.domain import kernels
from services.aggregator.domain.errors import AggregatorError
from services.aggregator.pipeline.context import Context
from services.aggregator.settings import Settings
from services.aggregator.storage import notifications, operator_keys
from services.aggregator.stores import make_context
from services.kit import (
    access_tokens,
    body_limit,
    dashboard,
    health,
    keys,
    logs,
    metrics,
    observation,
    openapi,
    signed_requests,
)
from services.kit import problems as kit_problems
from services.kit.clock import Clock, SystemClock
from services.kit.db import Database
from services.kit.listener import Listener
from services.kit.service import Service
from services.kit.serving import LEAVE

_DESCRIPTION = """Opens rounds, takes participants' reports in, adds them up and publishes what they come to.

Participants enrol with a task's enrolment key and use short-lived access tokens; operators use their keys.
Refusals are problem documents (RFC 9457): their `type` is a page that explains them."""

_DASHBOARD = Path(__file__).parent / "static" / "dashboard"
_UPLOADS = r"^/v1/assignments/[^/]+/(report|decrypted-sum)$"
_SMALL_BODIES = {
    r"^/v1/(enrolments|tokens|device-key|check-ins)$": 16 * 1024,
    r"^/v1/assignments/[^/]+/secure/": 64 * 1024,  # what 128 neighbours are dealt takes 22 KiB
}


def create_app(settings: Settings | None = None, clock: Clock | None = None) -> Service:
    """The service; settings come from the environment unless they are given."""
    settings = settings or Settings.read()
    logs.configure(settings.log_level)
    context = make_context(settings, clock or SystemClock())
    access = Access(context, derived.signing_keys(settings), settings)
    app = Service(
        title="fedrec aggregator",
        version="1",
        description=_DESCRIPTION,
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    app.state.settings, app.state.context, app.state.access = settings, context, access
    for module in (reports, check_ins, enrolment, secure, encrypted, tasks, task_credentials, administration):
        app.include_router(module.router)
    app.get("/.well-known/jwks.json", tags=["operation"], operation_id="getTokenKeys", summary="Token-signing keys")(
        _jwks(access)
    )
    kit_problems.install(app, AggregatorError, problems.STATUS)
    signed_requests.check_bodies(app, except_for=_UPLOADS)
    body_limit.install(app, except_for=_UPLOADS, at_most=_SMALL_BODIES)
    openapi.install(app)
    dashboard.install(app, _DASHBOARD, other_service=context.registry.public_url)
    health.install(app, {"database": lambda: _ping(context.db)})
    metrics.install(app, [Depends(operator(Role.READ))])
    app.wrap(lambda inner: ShortCut(inner, reports.router.routes))
    observation.install(app, "aggregator")
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Start what belongs to the process; at the end, finish what was taken before leaving."""
    context: Context = app.state.context
    settings: Settings = app.state.settings
    budget = BodyBudget(settings.intake_bytes, _pace(settings))
    desk, intake = CheckInDesk(context, WaitingRoom(settings.check_ins_held)), Intake(context, budget.is_held_by)
    app.state.desk, app.state.intake, app.state.body_budget = desk, intake, budget
    await asyncio.to_thread(kernels.warm_up)
    await asyncio.to_thread(_bootstrap, context, settings)
    loop = asyncio.get_running_loop()

    def hint(task_id: str | None) -> None:
        desk.wake(task_id)
        intake.forget_task(task_id)

    channels = (notifications.ROUNDS,)
    listener = Listener(settings.database_url, channels, lambda task_id: loop.call_soon_threadsafe(hint, task_id))
    listener.start()
    try:
        yield {LEAVE: desk.leave}
    finally:
        await asyncio.to_thread(listener.stop)
        await intake.finish()
        context.registry.close()
        context.db.dispose()


def _pace(settings: Settings) -> Pace:
    return Pace(
        longest_seconds=settings.body_timeout_seconds,
        grace_seconds=settings.body_grace_seconds,
        least_rate=settings.body_rate,
        contended_rate=settings.contended_body_rate,
    )


def _bootstrap(context: Context, settings: Settings) -> None:
    if settings.bootstrap_admin_key is None:
        return
    key = keys.from_secret(settings.bootstrap_admin_key, settings.key_pepper)
    context.db.run(
        "bootstrap",
        lambda tx: operator_keys.keys.add_once(tx, key, name="bootstrap", role=Role.ADMIN, now=context.now()),
    )


def _jwks(access: Access) -> Any:
    document = access_tokens.jwks(access.public_keys)

    def jwks() -> dict[str, Any]:
        """Public keys that verify access tokens (RFC 7517)."""
        return document

    return jwks


def _ping(db: Database) -> None:
    db.run("ping", lambda tx: tx.execute(text("SELECT 1")))
