"""Take a device into a task: as a client of its own, or as the client of the person that somebody vouches for."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from fedrec_protocol.manifest import TaskManifest
from services.aggregator.domain.errors import Unauthenticated, VoucherRequired
from services.aggregator.pipeline.context import Context
from services.aggregator.storage import credentials, persons, tasks
from services.aggregator.storage.credentials import Client
from services.kit.ids import new_id


@dataclass(frozen=True)
class Enrolled:
    """Who a device is from now on."""

    client: Client
    manifest: TaskManifest
    is_new: bool
    """Whether there was no such client before."""


def enrol(context: Context, task_id: str, public_key: bytes, person: bytes | None) -> Enrolled:
    """Make a device a client of a task; the same device, or the same person, is the same client.

    A person's client goes by the key that was enrolled last, so that what bounds a client bounds the person.

    Args:
        context: The stores and the clock.
        task_id: The task.
        public_key: The device's key, 32 bytes.
        person: The hash of whom somebody vouches for; None where nobody does.

    Raises:
        VoucherRequired: the device's client is a person's.
        DeviceKeyTaken: the device's key is another client's than the person's.
        Unauthenticated: the client was revoked or erased.
    """
    device = _Device(new_id("cli"), task_id, public_key, context.now())

    def step(tx: Connection) -> Enrolled:
        manifest = tasks.get(tx, task_id).manifest
        client = _client_of_device(tx, device) if person is None else _client_of_person(tx, person, device)
        return Enrolled(client, manifest, client.id == device.fresh_id)

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
    if client.id != device.fresh_id and persons.is_person(tx, client.id):
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
