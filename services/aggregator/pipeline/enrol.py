"""Take a device into a task: as a client of its own, or as the client of the person that somebody vouches for."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import EnrolmentRequest
from fedrec_protocol.operator_messages import EnrolmentKeyView
from services.aggregator.domain.errors import Unauthenticated, VoucherRequired
from services.aggregator.domain.vouchers import vouched_for
from services.aggregator.pipeline.context import Context
from services.aggregator.storage import credentials, persons, tasks
from services.aggregator.storage.credentials import Client
from services.kit.access_tokens import from_base64url
from services.kit.ids import new_id


@dataclass(frozen=True)
class Enrolled:
    """Who a device is from now on."""

    client: Client
    manifest: TaskManifest
    is_new: bool
    """Whether there was no such client before."""


def enrol(context: Context, key: EnrolmentKeyView, request: EnrolmentRequest, pepper: bytes) -> Enrolled:
    """Make the device a client of the key's task; the same device, or the same person, is the same client.

    A person's client goes by the key that was enrolled last, so that what bounds a client bounds the person.

    Args:
        context: The stores and the clock.
        key: The enrolment key that was sent, which is valid.
        request: The device's key and its voucher.
        pepper: What hashes of persons are keyed with.

    Raises:
        VoucherRequired, VoucherInvalid, InvalidVouchers: the voucher is not as the key demands.
        DeviceKeyTaken: another client of the task has the device's key.
        Unauthenticated: the client was revoked or erased.
    """
    now = context.now()
    device = _Device(new_id("cli"), key.task_id, from_base64url(request.public_key), now)
    person = vouched_for(request.voucher, key.vouchers, device.public_key, now)

    def step(tx: Connection) -> Enrolled:
        task = tasks.get(tx, key.task_id)
        if person is None:
            client = _client_of_device(tx, device)
        else:
            client = _client_of_person(tx, person.hash(pepper, task.id), device)
        return Enrolled(client, task.manifest, client.id == device.fresh_id)

    return context.db.run("enrol", step)


@dataclass(frozen=True)
class _Device:
    fresh_id: str
    """Id of its client, if it becomes a new one."""
    task_id: str
    public_key: bytes
    now: datetime


def _client_of_device(tx: Connection, device: _Device) -> Client:
    client = credentials.enrol(tx, device.fresh_id, device.task_id, device.public_key, device.now)
    if persons.is_person(tx, client.id):
        raise VoucherRequired("this device's client is a person's: enrol by a key that demands vouchers")
    return client


def _client_of_person(tx: Connection, person: bytes, device: _Device) -> Client:
    client_id = persons.client_of(tx, device.task_id, person)
    if client_id is None:
        client = credentials.insert_client(tx, device.fresh_id, device.task_id, device.public_key, device.now)
        persons.set_client(tx, device.task_id, person, client.id)
    else:
        client = credentials.seen_client(tx, client_id, device.now.date())
    if client.is_revoked or persons.is_refused(tx, device.task_id, person):
        raise Unauthenticated("this person's client was revoked")
    if client.public_key != device.public_key:
        credentials.replace_key(tx, client, device.public_key)
    return replace(client, public_key=device.public_key)
