"""Tell the other processes who asked this one, and learn who asked them."""

from sqlalchemy import Connection

from services.aggregator.domain.recent_participants import RecentParticipants, Sketch, oldest_span
from services.aggregator.pipeline.context import Context
from services.aggregator.storage import demand, tasks


def share_demand(context: Context, task_id: str, process_id: str, recent: RecentParticipants) -> None:
    """Bring a process's count of a task's participants and everybody else's together.

    Raises:
        UnknownTask: it was deleted, and devices still have tokens.
    """
    untold, oldest = recent.untold(), oldest_span(context.now())

    def step(tx: Connection) -> list[Sketch]:
        tasks.get(tx, task_id)
        demand.tell(tx, task_id, process_id, untold)
        return demand.of_others(tx, task_id, process_id, oldest)

    recent.learn(context.db.run("share_demand", step))
