"""Erase what a task remembers from round to round, when no other round will follow."""

from sqlalchemy import Connection

from services.aggregator.domain.tasks import Task
from services.aggregator.pipeline.context import Context
from services.aggregator.storage import noise_vectors, tasks


def erase_memory(tx: Connection, context: Context, task: Task) -> None:
    """Erase the noise that later rounds would have taken back, its key, and what the aggregation rule remembers."""
    noise_vectors.forget(tx, context.home, task.manifest.model)
    key = tasks.rule_state_object(tx, task.id)
    if key is not None:
        tasks.set_rule_state_object(tx, task.id, None)
        context.home.delete(tx, key)
