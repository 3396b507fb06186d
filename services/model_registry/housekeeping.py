"""What nobody waits for: deleting weights that nobody needs and old audit entries, erasing objects."""

import asyncio
import random
from datetime import timedelta

import structlog
from starlette.concurrency import run_in_threadpool

from services.kit.db import DatabaseUnavailable
from services.kit.objects import ObjectsUnavailable
from services.model_registry.api.context import Context
from services.model_registry.storage import audit, weights

log = structlog.get_logger(__name__)


async def keep_house(context: Context) -> None:
    """Sweep now and then, until cancelled; any number of processes may."""
    while True:
        await asyncio.sleep(context.settings.sweep_seconds * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
        sweeping = asyncio.ensure_future(run_in_threadpool(sweep, context))
        try:
            await asyncio.shield(sweeping)
        except asyncio.CancelledError:
            await asyncio.wait([sweeping])  # its thread goes on, and has a connection
            raise
        except (DatabaseUnavailable, ObjectsUnavailable) as error:
            log.warning("sweep put off", error=str(error))
        except Exception as error:  # there is nobody else who would begin the next one
            log.error("sweep failed; it will be tried again", exc_info=error)


def sweep(context: Context) -> None:
    """Delete what nobody needs.

    Raises:
        DatabaseUnavailable, ObjectsUnavailable: the rest is left to the next sweep.
    """
    settings, now = context.settings, context.clock.now()
    before = now - timedelta(days=settings.unpublished_days)
    deleted = 0
    while count := context.db.run(
        "delete_unpublished_weights",
        lambda tx: weights.delete_unpublished(tx, context.home, uploaded_before=before),
    ):
        deleted += count
    if settings.unused_days is not None:
        last_used = (now - timedelta(days=settings.unused_days)).date()
        while count := context.db.run(
            "delete_unused_weights", lambda tx: weights.delete_unused(tx, context.home, used_before=last_used)
        ):
            deleted += count
    if settings.audit_days is not None:
        oldest = now - timedelta(days=settings.audit_days)
        context.db.run("forget_audit", lambda tx: audit.forget(tx, oldest))
    erased = context.home.sweep(context.db)
    log.info("swept", deleted_weights=deleted, erased_objects=erased)
