"""The privacy ledger and the noise of a simulated task: the service's own, with noise that can be repeated."""

import hashlib

from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.noise.random_bits import RandomBits
from fedrec_protocol.privacy import CentralPrivacy
from services.aggregator.domain.kernels import Accumulator
from services.aggregator.domain.layout import Layout
from services.aggregator.domain.privacy.events import Charge
from services.aggregator.domain.privacy.ledger import BudgetExceeded
from services.aggregator.domain.privacy.task import NoisyRound, charge_for, new_ledger, noised
from services.aggregator.domain.rounds import Round

_PURPOSE = b"fedrec/simulation/noise/1"


class SimulatedPrivacy:
    """Central differential privacy of one task.

    The noise comes from the manifest's seed, so that a run can be repeated. It therefore protects nobody:
    the people of a simulation need no protection from whoever has their data.
    """

    def __init__(self, manifest: TaskManifest, policy: CentralPrivacy) -> None:
        self._manifest, self._policy = manifest, policy
        self._ledger = new_ledger(manifest, policy)
        self._bits = RandomBits(hashlib.sha256(_PURPOSE + manifest.seed.to_bytes(8, "little")).digest())

    @property
    def epsilon(self) -> float:
        """User-level epsilon spent so far, at the policy's delta."""
        return self._ledger.spent

    def why_no_room(self, kind: RoundKind, number: int, trained: int) -> str | None:
        """Why the budget has no room for this round; None where it has."""
        try:
            self._ledger.require_room_for(self._charge(self._round(kind, number, trained)))
        except BudgetExceeded as error:
            return str(error)
        return None

    def noised(self, vector: Accumulator, layout: Layout, round_: Round, trained: int) -> Accumulator:
        """A round's sum with noise; nothing else of the sum may be released."""
        return noised(vector, layout, self._round(round_.kind, round_.number, trained), self._bits)

    def charge(self, round_: Round, trained: int) -> None:
        """Enter what a round is about to release."""
        self._ledger = self._ledger.with_charge(self._charge(self._round(round_.kind, round_.number, trained)))

    def _round(self, kind: RoundKind, number: int, trained: int) -> NoisyRound:
        return NoisyRound(self._manifest, self._policy, kind, number, trained)

    @staticmethod
    def _charge(round_: NoisyRound) -> Charge:
        return charge_for(round_, f"round-{round_.number}")
