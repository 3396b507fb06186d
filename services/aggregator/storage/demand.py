"""Who asked which process recently, in Postgres: a row for each process, task and twenty minutes."""

from collections.abc import Iterable

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.aggregator.domain.recent_participants import Sketch
from services.aggregator.storage.tables import demand_sketches


def tell(tx: Connection, task_id: str, process_id: str, sketches: Iterable[Sketch]) -> None:
    """Store what one process counted. Nobody else writes its rows, so nobody waits for them."""
    for sketch in sketches:
        row = {"task_id": task_id, "process_id": process_id, "span": sketch.span, "smallest": sketch.smallest}
        statement = upsert(demand_sketches).values(**row)
        tx.execute(
            statement.on_conflict_do_update(
                index_elements=["task_id", "process_id", "span"], set_={"smallest": sketch.smallest}
            )
        )


def of_others(tx: Connection, task_id: str, process_id: str, oldest_span: int) -> list[Sketch]:
    """What the other processes counted; also those that are no more, whose participants come back elsewhere."""
    query = select(demand_sketches.c.span, demand_sketches.c.smallest).where(
        demand_sketches.c.task_id == task_id,
        demand_sketches.c.process_id != process_id,
        demand_sketches.c.span >= oldest_span,
    )
    return [Sketch(span, smallest) for span, smallest in tx.execute(query)]


def forget(tx: Connection, oldest_span: int) -> int:
    """Delete what counts no more; returns how many rows."""
    return tx.execute(delete(demand_sketches).where(demand_sketches.c.span < oldest_span)).rowcount
