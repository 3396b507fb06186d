"""`fedrec task`: look at tasks and steer them."""

from typing import Annotated

import typer

from fedrec.commands.listing import AsJson, figures, minute, print_json, print_listing
from fedrec.commands.services import AGGREGATOR_URL, AggregatorKey, AggregatorUrl, aggregator
from fedrec.operator import Operator
from fedrec.program import PROGRAM
from fedrec.service_client import OperatorError
from fedrec_protocol.operator_messages import RoundView, TaskView

task = typer.Typer(help="Tasks of a running deployment: look, pause, resume, cancel, delete.", no_args_is_help=True)

Task = Annotated[str, typer.Argument(metavar="TASK", help="The task's name, or its id.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@task.command("list")
def list_command(key: AggregatorKey, url: AggregatorUrl = AGGREGATOR_URL, as_json: AsJson = False) -> None:
    """All tasks, the newest first."""
    with aggregator(url, key) as operator:
        tasks = operator.tasks()
    if as_json:
        print_json(tasks)
        return
    headings = ("NAME", "STATE", "ROUNDS", "RECIPE", "MODEL", "CREATED (UTC)", "ID")
    print_listing(headings, [_row(each) for each in tasks], nothing="there are no tasks")


def _row(view: TaskView) -> tuple[str, ...]:
    manifest = view.manifest
    rounds = f"{view.rounds_published} of {manifest.stop.round_budget}"
    return (
        manifest.name,
        view.state,
        rounds,
        manifest.recipe.name,
        manifest.model,
        minute(view.created_at),
        view.task_id,
    )


@task.command("show")
def show(
    name: Task,
    key: AggregatorKey,
    url: AggregatorUrl = AGGREGATOR_URL,
    rounds: Annotated[int, typer.Option(min=0, max=500, help="Rounds to list.")] = 10,
) -> None:
    """One task: its state, what its round waits for, the privacy spent, and its last rounds."""
    with aggregator(url, key) as operator:
        view = find(operator, name)
        typer.echo(_in_words(view))
        for sentence in _circumstances(operator, view):
            typer.echo(sentence)
        last = operator.rounds(view.task_id, limit=rounds) if rounds else []
    if rounds:
        headings = ("ROUND", "KIND", "STATE", "REPORTS", "OPENED (UTC)", "METRICS OF ITS BASE VERSION")
        print_listing(headings, [_round_row(each) for each in last], nothing="there are no rounds")


def _in_words(view: TaskView) -> str:
    because = f": {view.state_reason}" if view.state_reason else ""
    published = f"{view.rounds_published} of {view.manifest.stop.round_budget} rounds published"
    return (
        f"{view.manifest.name} ({view.task_id}) is {view.state}{because}\n"
        f"{published}; the newest version of {view.manifest.model} is {view.current_version_id or 'not there yet'}"
    )


def _circumstances(operator: Operator, view: TaskView) -> list[str]:
    """What may not be there: a round, and a privacy ledger."""
    sentences = []
    try:
        current = operator.current_round(view.task_id)
        sentences.append(f"round {current.number}: {current.waiting_for}")
    except OperatorError as refusal:
        if refusal.slug != "unknown-round":
            raise
    if view.manifest.privacy is not None:
        spent = operator.privacy(view.task_id)
        sentences.append(f"epsilon {spent.spent_epsilon:.3g} of {spent.budget_epsilon:g}: {spent.in_words}")
    return sentences


def _round_row(view: RoundView) -> tuple[str, ...]:
    reports = f"{view.reports} of {view.aggregation_goal}"
    return str(view.number), view.kind, view.state, reports, minute(view.opened_at), figures(view.metrics)


@task.command("pause")
def pause(name: Task, key: AggregatorKey, url: AggregatorUrl = AGGREGATOR_URL) -> None:
    """Open no new round; the open one may finish."""
    _steer(name, "pause", key, url)


@task.command("resume")
def resume(name: Task, key: AggregatorKey, url: AggregatorUrl = AGGREGATOR_URL) -> None:
    """Open rounds again."""
    _steer(name, "resume", key, url)


@task.command("cancel")
def cancel(
    name: Task,
    key: AggregatorKey,
    url: AggregatorUrl = AGGREGATOR_URL,
    yes: Yes = False,
) -> None:
    """End a task for good; its open round is abandoned, its published versions stay."""
    if not yes:
        typer.confirm(f"Cancel {name} for good?", abort=True)
    _steer(name, "cancel", key, url)


@task.command("delete")
def delete(
    name: Task,
    key: AggregatorKey,
    url: AggregatorUrl = AGGREGATOR_URL,
    yes: Yes = False,
) -> None:
    """Delete a completed task with its rounds, clients and enrolment keys. A key of role admin is needed.

    Published versions stay. Of a private task the manifest and the ledger stay too.
    """
    with aggregator(url, key) as operator:
        view = find(operator, name)
        if not yes:
            typer.confirm(f"Delete {view.manifest.name} ({view.task_id}) with its rounds and clients?", abort=True)
        operator.delete_task(view.task_id)
    stays = "" if view.manifest.privacy is None else "; its manifest and its privacy ledger stay"
    typer.echo(f"{view.manifest.name} is deleted{stays}")


@task.command("restored")
def restored(
    name: Task,
    releases: Annotated[
        int,
        typer.Option(help="Rounds released after the backup, or 0; rather too many than too few."),
    ],
    key: AggregatorKey,
    url: AggregatorUrl = AGGREGATOR_URL,
) -> None:
    """After a restore: charge what a private task's ledger does not know. A key of role admin is needed."""
    with aggregator(url, key) as operator:
        typer.echo(_in_words(operator.state_unrecorded(find(operator, name).task_id, releases)))


def _steer(name: str, action: str, key: str, url: str) -> None:
    with aggregator(url, key) as operator:
        typer.echo(_in_words(operator.steer(find(operator, name).task_id, action)))


def find(operator: Operator, name: str) -> TaskView:
    """The task of this id or name.

    Raises:
        OperatorError: there is none.
    """
    for view in operator.tasks():
        if name in (view.task_id, view.manifest.name):
            return view
    raise OperatorError(f"there is no task {name!r}: `{PROGRAM} task list` shows those there are")
