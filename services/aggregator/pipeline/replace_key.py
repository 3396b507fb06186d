"""Replace a device's key by another one."""

from dataclasses import replace

from sqlalchemy import Connection

from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import KeyChange
from services.aggregator.domain.errors import Unauthenticated
from services.aggregator.pipeline.context import Context
from services.aggregator.storage import credentials, tasks
from services.aggregator.storage.credentials import Client
from services.kit.access_tokens import TokenInvalid
from services.kit.device_assertions import key_named_in, subject_of, verify_key_change


def replace_key(context: Context, change: KeyChange) -> tuple[Client, TaskManifest]:
    """Let a device go by the key that both of its keys have signed for; returns the client as it is then.

    Where the device has that key already, its confirmation is enough and nothing changes: the answer to the first
    request may have been lost.

    Raises:
        Unauthenticated: not signed by a client that may take part.
        DeviceKeyTaken: another client of the task has that key.
    """

    def step(tx: Connection) -> tuple[Client, TaskManifest]:
        before = claimed(tx, change.confirmation)
        try:
            new_key = key_named_in(change.confirmation)
            verify_key_change(change.confirmation, before.id, new_key, context.now())
            if before.public_key != new_key:
                agreed = verify_key_change(change.assertion, before.id, before.public_key, context.now())
                if agreed != new_key:
                    raise TokenInvalid("assertion and confirmation name two keys")
                credentials.replace_key(tx, before, new_key)
        except TokenInvalid as error:
            raise Unauthenticated(str(error)) from error
        return replace(before, public_key=new_key), tasks.get(tx, before.task_id).manifest

    return context.db.run("replace_device_key", step)


def claimed(tx: Connection, assertion: str) -> Client:
    """The client that an assertion says it is from; nothing is verified yet.

    Raises:
        Unauthenticated: there is no such client, or it was revoked.
    """
    client_id = subject_of(assertion)
    client = None if client_id is None else credentials.client(tx, client_id)
    if client is None or client.is_revoked:
        raise Unauthenticated("the assertion names no client, or one that was revoked")
    return client
