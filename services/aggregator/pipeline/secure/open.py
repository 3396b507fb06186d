"""Begin a secure round: sign what its participants agree on."""

import os

from sqlalchemy import Connection

from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.secagg.descriptor import SignedDescriptor
from fedrec_protocol.secagg.of_task import round_deadlines, round_descriptor
from services.aggregator.domain.rounds import Round
from services.aggregator.domain.secure_keys import server_key
from services.aggregator.pipeline.context import Context
from services.aggregator.storage import secure_rounds

_NONCE_BYTES = 32


def open_secure(tx: Connection, context: Context, manifest: TaskManifest, round_: Round) -> None:
    """Store the signed descriptor of a round that was just opened; a fresh nonce, so a round id of its own."""
    descriptor = round_descriptor(
        manifest,
        round_.kind,
        task_id=round_.task_id,
        round_number=round_.number,
        base_digest=round_.base.digest,
        nonce=os.urandom(_NONCE_BYTES),
        deadlines=round_deadlines(manifest, round_.opened_at),
    )
    signature = server_key(context.deployment_keys[0]).sign(descriptor.round_id)
    secure_rounds.insert_round(
        tx, round_.id, SignedDescriptor(descriptor=descriptor, signature=signature), round_.opened_at
    )
