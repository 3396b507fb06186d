"""`fedrec train`: a task on a running deployment, from its manifest to its last version."""

from pathlib import Path
from typing import Annotated

import typer

from fedrec.commands.refusals import refusing_arguments
from fedrec.commands.services import AGGREGATOR_URL, REGISTRY_URL, AggregatorKey, AggregatorUrl, explaining_refusals
from fedrec.operator import Operator


def train(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A task manifest, e.g. of `recommend-config`.")],
    key: AggregatorKey,
    url: AggregatorUrl = AGGREGATOR_URL,
    promote: Annotated[str | None, typer.Option(help="Move this alias to the last version, e.g. production.")] = None,
    registry_url: Annotated[str, typer.Option(envvar="FEDREC_REGISTRY_URL", help="The model registry.")] = REGISTRY_URL,
    registry_key: Annotated[
        str | None, typer.Option(envvar="FEDREC_REGISTRY_KEY", help="The registry's operator key of role run.")
    ] = None,
) -> None:
    """Create a task, print its enrolment key once, and follow its rounds to the end.

    Stopped and started again, it finds the task by its name and goes on: nothing is created twice.
    """
    from fedrec.manifests import read_manifest  # noqa: PLC0415 - --help need not load what computes
    from fedrec.training import find_or_create  # noqa: PLC0415 - as above

    if promote is not None and registry_key is None:
        raise typer.BadParameter(
            "needs the operator key of the model registry too: --registry-key", param_hint="--promote"
        )
    with refusing_arguments():
        manifest = read_manifest(file)
    try:
        with (
            explaining_refusals(),
            Operator(url, registry_url, aggregator_key=key, registry_key=registry_key or "") as operator,
        ):
            task, is_new = find_or_create(operator, manifest)
            typer.echo(f"task {task.task_id} {'created' if is_new else 'found'}: {manifest.name}")
            if is_new or not operator.enrolment_keys(task.task_id):  # who made the task may have been stopped here
                typer.echo(f"enrolment key for the app: {operator.create_enrolment_key(task.task_id).secret}")
            _follow(operator, task.task_id, promote)
    except KeyboardInterrupt:
        typer.echo("stopped watching; the task goes on. Run the same command to watch again.")


def _follow(operator: Operator, task_id: str, alias: str | None) -> None:
    from fedrec.training import follow  # noqa: PLC0415 - as above
    from fedrec_protocol.messages import TaskState  # noqa: PLC0415 - as above

    for round_ in follow(operator, task_id):
        metrics = "  ".join(f"{name} {value:.4f}" for name, value in (round_.metrics or {}).items())
        typer.echo(
            f"round {round_.number}  {round_.kind}  {round_.state}  {round_.reports} reports  {metrics}".rstrip()
        )
    task = operator.task(task_id)
    typer.echo(f"the task is {task.state}: {task.state_reason}")
    if task.state is not TaskState.COMPLETED:
        raise typer.Exit(1)
    if alias is not None and task.current_version_id is not None:
        moved = operator.promote(task.manifest.model, alias, task.current_version_id, reason="its task is completed")
        typer.echo(f"{alias} is version {moved.version.number} of {task.manifest.model}")
