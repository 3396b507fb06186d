"""What a private task has spent of its budget."""

from sqlalchemy import Connection

from fedrec_protocol.operator_messages import PrivacyView
from services.aggregator.domain.errors import NoPrivacy
from services.aggregator.domain.privacy.ledger import Ledger
from services.aggregator.domain.privacy.statement import privacy_statement
from services.aggregator.domain.privacy.task import mechanism_of
from services.aggregator.domain.tasks import Task
from services.aggregator.pipeline.context import Context
from services.aggregator.storage import ledgers, tasks


def read_privacy(context: Context, task_id: str) -> PrivacyView:
    """Price the task's ledger.

    Raises:
        UnknownTask: there is none.
        NoPrivacy: the task promises none.
    """

    def read(tx: Connection) -> tuple[Task, Ledger | None]:
        task = tasks.get(tx, task_id)
        return task, None if task.manifest.privacy is None else ledgers.find(tx, task.manifest.model)

    task, ledger = context.db.run("read_privacy", read)
    if ledger is None:
        raise NoPrivacy("the manifest has no `privacy`: nothing is guaranteed about the published sums")
    statement = privacy_statement(ledger, mechanism_of(task.manifest))
    return PrivacyView(
        task_id=task.id,
        spent_epsilon=statement.epsilon,
        budget_epsilon=ledger.budget.epsilon,
        target_delta=ledger.budget.delta,
        charges=len(ledger.charges),
        in_words=statement.plain_words(),
    )
