"""The sum that a round's silos agreed on, as the sum of plain reports."""

from sqlalchemy import Connection

from fedrec_protocol.homomorphic_encryption import HomomorphicEncryption
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.secagg.of_task import round_layout
from services.aggregator.domain import sealing
from services.aggregator.domain.encrypted_round import read_decrypted
from services.aggregator.domain.hidden_sum import HiddenSum, plain_sum
from services.aggregator.domain.rounds import Round
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.encrypted.answer import decrypted_name
from services.aggregator.pipeline.merge import KeyErased, round_key
from services.aggregator.storage import encrypted_sums


def decrypted(context: Context, manifest: TaskManifest, terms: HomomorphicEncryption, round_: Round) -> HiddenSum:
    """The exact sum of the silos' reports.

    Raises:
        KeyErased, SealBroken, ObjectMissing: it cannot be read any more.
    """
    coordinates = round_layout(manifest, round_.kind).coordinates

    def read(tx: Connection) -> HiddenSum:
        row = encrypted_sums.find(tx, round_.id)
        if row is None or row.agreed is None:
            raise KeyErased("the round's decrypted sum was erased before it was used")
        answers = encrypted_sums.progress(tx, row, terms)
        stored = next(one for one in encrypted_sums.sent(tx, round_.id) if one.sha256 == row.agreed)
        key, sealed = round_key(tx, context, round_.id), context.home.read(tx, stored.object_key)
        body = b"".join(sealing.unseal(sealed, 4 * coordinates, key, decrypted_name(stored.assignment_id)))
        vector = read_decrypted(body, coordinates=coordinates, reports=answers.silos, terms=terms)
        plain = plain_sum(vector, manifest, round_.kind)
        return HiddenSum(plain, answers.silos, answers.dissenters(row.agreed))

    return context.db.run("read_decrypted_sum", read)
