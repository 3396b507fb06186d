"""Keep the weights that tasks train from, which the registry deletes when nobody uses them for long."""

import structlog

from services.aggregator.pipeline.context import Context
from services.aggregator.registry_client import VersionMissing
from services.aggregator.storage import tasks

log = structlog.get_logger(__name__)


def keep_bases(context: Context) -> None:
    """Count the versions that tasks which are not over train from as used today.

    The registry keeps the newest version of each task by itself. A task that began from another version has none of
    its own before its first round is published, which may take long: it waits for reports, or an operator paused it.

    Raises:
        Unavailable: the registry cannot be reached; the next sweep asks again.
    """
    for task_id, version_id in context.db.run("find_bases", tasks.bases):
        try:
            context.registry.require_weights(version_id)
        except VersionMissing:
            log.warning("weights that a task trains from are gone", task_id=task_id, version_id=version_id)
