"""`fedrec operator-key` and `fedrec enrolment-key`: make, list and revoke credentials, and what they demand."""

from typing import Annotated

import typer

from fedrec.administrator import Administrator
from fedrec.commands.grouped import grouped
from fedrec.commands.listing import AsJson, minute, print_json, print_listing
from fedrec.commands.services import (
    AGGREGATOR_URL,
    AdministratorKey,
    AggregatorKey,
    AggregatorUrl,
    EitherUrl,
    aggregator,
    explaining_refusals,
)
from fedrec.commands.task import Task, find
from fedrec.commands.vouchers import VoucherChoice, in_words
from fedrec.program import PROGRAM
from fedrec.service_client import OperatorError
from fedrec_protocol.messages import Role
from fedrec_protocol.operator_messages import EnrolmentKeyView, OperatorKeyView

DAY_SECONDS = 86400.0

operator_key = typer.Typer(help="Operator keys of either service: make, list, revoke.", no_args_is_help=True)
enrolment_key = typer.Typer(
    help="Keys by which an app's devices enrol: make, list, revoke, demand vouchers.", no_args_is_help=True
)

Days = Annotated[
    float | None, typer.Option(min=0.001, max=3650, help="Life of the key.", show_default="until it is revoked")
]
KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `list` shows it.")]


@operator_key.command("make")
def make_operator_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is.")],
    key: AdministratorKey,
    role: Annotated[Role, typer.Option(help="What it may do; each role includes the ones before it.")] = Role.READ,
    days: Days = None,
    url: EitherUrl = AGGREGATOR_URL,
) -> None:
    """Print a new operator key, this once: only a hash of it is stored."""
    with explaining_refusals(), Administrator(url, key) as administrator:
        typer.echo(administrator.create_operator_key(name, role, life_seconds=_seconds(days)).secret)


@operator_key.command("list")
def list_operator_keys(key: AdministratorKey, url: EitherUrl = AGGREGATOR_URL, as_json: AsJson = False) -> None:
    """All operator keys of a service, the newest first, without their secrets."""
    with explaining_refusals(), Administrator(url, key) as administrator:
        keys = administrator.operator_keys()
    if as_json:
        print_json(keys)
        return
    headings = ("NAME", "ROLE", "MADE (UTC)", "ENDS (UTC)", "REVOKED (UTC)", "ID")
    rows = [(each.name, each.role, *_times(each), each.key_id) for each in keys]
    print_listing(headings, rows, nothing="there are no operator keys")


@operator_key.command("revoke")
def revoke_operator_key(key_id: KeyId, key: AdministratorKey, url: EitherUrl = AGGREGATOR_URL) -> None:
    """Refuse a key from now on, for good."""
    with explaining_refusals(), Administrator(url, key) as administrator:
        administrator.revoke_operator_key(key_id)
    typer.echo(f"{key_id} is revoked")


@enrolment_key.command("make")
@grouped("vouchers", VoucherChoice)
def make_enrolment_key(
    task: Task,
    key: AggregatorKey,
    vouchers: VoucherChoice,
    days: Days = None,
    url: AggregatorUrl = AGGREGATOR_URL,
) -> None:
    """Print a new enrolment key of a task, this once: only a hash of it is stored."""
    demanded = vouchers.demanded()
    with aggregator(url, key) as operator:
        task_id = find(operator, task).task_id
        made = operator.create_enrolment_key(task_id, life_seconds=_seconds(days), vouchers=demanded)
    typer.echo(made.secret)


@enrolment_key.command("vouchers")
@grouped("vouchers", VoucherChoice)
def replace_vouchers(
    task: Task,
    key_id: KeyId,
    key: AggregatorKey,
    vouchers: VoucherChoice,
    url: AggregatorUrl = AGGREGATOR_URL,
) -> None:
    """Replace the vouchers that an enrolment key demands, or their keys alone; what is not said stays."""
    with aggregator(url, key) as operator:
        task_id = find(operator, task).task_id
        views = {view.key_id: view for view in operator.enrolment_keys(task_id)}
        if key_id not in views:
            raise OperatorError(
                f"{task} has no enrolment key {key_id!r}: `{PROGRAM} enrolment-key list {task}` shows those there are"
            )
        demanded = vouchers.demanded(now=views[key_id].vouchers)
        if demanded is None:
            raise typer.BadParameter("say what changes, such as --voucher-keys")
        view = operator.replace_vouchers(task_id, key_id, demanded)
    typer.echo(f"{key_id} demands vouchers: {in_words(view.vouchers)}")


@enrolment_key.command("list")
def list_enrolment_keys(
    task: Task, key: AggregatorKey, url: AggregatorUrl = AGGREGATOR_URL, as_json: AsJson = False
) -> None:
    """A task's enrolment keys, the newest first, without their secrets."""
    with aggregator(url, key) as operator:
        keys = operator.enrolment_keys(find(operator, task).task_id)
    if as_json:
        print_json(keys)
        return
    headings = ("MADE (UTC)", "ENDS (UTC)", "REVOKED (UTC)", "VOUCHERS", "ID")
    rows = [(*_times(each), in_words(each.vouchers), each.key_id) for each in keys]
    print_listing(headings, rows, nothing=f"{task} has no enrolment keys")


@enrolment_key.command("revoke")
def revoke_enrolment_key(task: Task, key_id: KeyId, key: AggregatorKey, url: AggregatorUrl = AGGREGATOR_URL) -> None:
    """Enrol nobody else by this key; who enrolled by it stays."""
    with aggregator(url, key) as operator:
        operator.revoke_enrolment_key(find(operator, task).task_id, key_id)
    typer.echo(f"{key_id} is revoked")


def _seconds(days: float | None) -> float | None:
    return None if days is None else days * DAY_SECONDS


def _times(view: OperatorKeyView | EnrolmentKeyView) -> tuple[str, str, str]:
    return minute(view.created_at), minute(view.expires_at, "never"), minute(view.revoked_at)
