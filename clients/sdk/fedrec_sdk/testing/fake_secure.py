"""The fake's secure rounds: the protocol's own server side, in memory. Each phase ends when all have answered."""

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from fedrec_protocol.base import Response
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.problems import Slug
from fedrec_protocol.secagg.descriptor import SignedDescriptor
from fedrec_protocol.secagg.errors import Rejected, RoundAborted
from fedrec_protocol.secagg.messages import Acknowledgement, Advert, DeviceCertificate, Reveal, Shares
from fedrec_protocol.secagg.of_task import round_deadlines, round_descriptor, round_layout
from fedrec_protocol.secagg.packing import unpack
from fedrec_protocol.secagg.quantise import SummedReports, dequantise_scalars, to_real
from fedrec_protocol.secagg.roster import build_roster, check_advert
from fedrec_protocol.secagg.server.context import RosteredRound
from fedrec_protocol.secagg.server.reveals import Sets, check_reveal
from fedrec_protocol.secagg.server.sharing import check_shares, freeze_sharers, inbox_of
from fedrec_protocol.secagg.server.survivors import acknowledgements_for, check_acknowledgement, freeze_survivors
from fedrec_protocol.secagg.server.unmasking import recover_masks, unmask
from fedrec_protocol.secure_messages import PhaseView, SecureOffer, SecurePhase
from fedrec_sdk.testing.fake_reports import AcceptedReport
from fedrec_sdk.testing.refusal import Refused

Answer = Advert | Shares | Acknowledgement | Reveal
RESOURCES: Mapping[str, tuple[SecurePhase, type[Answer]]] = {
    "advert": (SecurePhase.ADVERTISING, Advert),
    "shares": (SecurePhase.SHARING, Shares),
    "acknowledgement": (SecurePhase.CONFIRMING, Acknowledgement),
    "reveal": (SecurePhase.REVEALING, Reveal),
}
"""What participants put, and in which phase."""
FROZEN_BY: Mapping[str, SecurePhase] = {
    "roster": SecurePhase.ADVERTISING,
    "inbox": SecurePhase.SHARING,
    "survivors": SecurePhase.REPORTING,
    "acknowledgements": SecurePhase.CONFIRMING,
}
"""What participants read, and the phase whose end freezes it."""


class FakeSecureKeys:
    """The fake's signing keys; an app may pin `registry`."""

    def __init__(self) -> None:
        self.server, self.registry = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()

    def certificate(self, client_id: str, device_key: bytes) -> DeviceCertificate:
        """The registry's word for an enrolled device."""
        unsigned = DeviceCertificate(client_id=client_id, device_key=device_key, signature=bytes(64))
        return unsigned.model_copy(update={"signature": self.registry.sign(unsigned.payload())})


class FakeSecureRound:
    """One round, from its offer to its sum."""

    def __init__(
        self,
        keys: FakeSecureKeys,
        manifest: TaskManifest,
        kind: RoundKind,
        *,
        task_id: str,
        number: int,
        base_digest: str,
    ) -> None:
        self.descriptor = round_descriptor(
            manifest,
            kind,
            task_id=task_id,
            round_number=number,
            base_digest=base_digest,
            nonce=os.urandom(32),
            deadlines=round_deadlines(manifest, datetime.now(UTC)),
        )
        self.phase = SecurePhase.ADVERTISING
        self.abandoned = ""
        """Why there will be no sum; empty as long as there may be one."""
        self.sum: AcceptedReport | None = None
        """The sum of the reports, as if one client had reported their mean; None before the masks are off."""
        self._keys, self._manifest, self._kind = keys, manifest, kind
        self._answers: dict[SecurePhase, dict[str, Any]] = {phase: {} for phase in SecurePhase}

    def offer(self, client_id: str, device_key: bytes) -> SecureOffer:
        """What a client needs to join.

        Raises:
            Refused: `phase-closed`.
        """
        if client_id not in self._answers[SecurePhase.ADVERTISING]:
            self._require(SecurePhase.ADVERTISING)
        return SecureOffer(
            signed=SignedDescriptor(
                descriptor=self.descriptor, signature=self._keys.server.sign(self.descriptor.round_id)
            ),
            certificate=self._keys.certificate(client_id, device_key),
            server_key=_public(self._keys.server),
            registry_key=_public(self._keys.registry),
        )

    def put(self, client_id: str, phase: SecurePhase, answer: Answer | bytes) -> PhaseView:
        """Take a message, or a masked report; the same one again changes nothing.

        Raises:
            Refused: `phase-not-open`, `phase-closed`, `message-conflict` or `message-rejected`.
        """
        known = self._answers[phase].get(client_id)
        if known is None:
            self._require(phase)
            try:
                self._check(client_id, answer)
            except Rejected as error:
                raise Refused(Slug.MESSAGE_REJECTED, str(error)) from error
            self._answers[phase][client_id] = answer
            if len(self._answers[phase]) == self._expected:
                self.end_phase()
        elif known != answer:
            raise Refused(Slug.MESSAGE_CONFLICT, f"{client_id} said something else")
        return self._view

    def get(self, client_id: str, resource: str) -> Response | PhaseView:
        """What a phase has frozen, or how far the round is.

        Raises:
            Refused: `phase-closed` for those without whom the round goes on.
        """
        frozen_by = FROZEN_BY[resource]
        if self.abandoned:
            raise Refused(Slug.PHASE_CLOSED, self.abandoned)
        if self.phase.place <= frozen_by.place:
            return self._view
        if client_id not in self._answers[frozen_by if resource != "acknowledgements" else SecurePhase.REPORTING]:
            raise Refused(Slug.PHASE_CLOSED, f"the round goes on without {client_id}")
        match resource:
            case "roster":
                return self._roster
            case "inbox":
                return inbox_of(self._rostered, self._position(client_id), self._by_position(SecurePhase.SHARING))
            case "survivors":
                return self._survivors
            case _:
                signed = self._by_position(SecurePhase.CONFIRMING)
                return acknowledgements_for(self._rostered, self._position(client_id), signed)

    def end_phase(self) -> None:
        """Go on with those who have answered, as a deadline would; the round is abandoned if they are too few."""
        try:
            self._freeze[self.phase]()
        except RoundAborted as error:
            self.abandoned = str(error)
        self.phase = list(SecurePhase)[self.phase.place + 1]

    @property
    def _freeze(self) -> Mapping[SecurePhase, Callable[[], None]]:
        return {
            SecurePhase.ADVERTISING: self._freeze_roster,
            SecurePhase.SHARING: self._freeze_sharers,
            SecurePhase.REPORTING: self._freeze_survivors,
            SecurePhase.CONFIRMING: lambda: None,
            SecurePhase.REVEALING: self._unmask,
        }

    def _freeze_roster(self) -> None:
        adverts = self._answers[SecurePhase.ADVERTISING].values()
        self._roster = build_roster(self.descriptor, adverts, self._keys.server)
        self._rostered = RosteredRound(self.descriptor, self._roster.adverts)

    def _freeze_sharers(self) -> None:
        freeze_sharers(self._rostered, frozenset(self._by_position(SecurePhase.SHARING)))

    def _freeze_survivors(self) -> None:
        sharers, reporters = (frozenset(self._by_position(p)) for p in (SecurePhase.SHARING, SecurePhase.REPORTING))
        self._survivors = freeze_survivors(self._rostered, sharers, reporters, self._keys.server)
        self._sets = Sets(sharers, reporters, self._survivors.survivors)

    def _unmask(self) -> None:
        shares, revealed = self._by_position(SecurePhase.SHARING), self._by_position(SecurePhase.REVEALING)
        checked = [
            check_reveal(self._rostered, place, reveal, self._sets, shares) for place, reveal in revealed.items()
        ]
        masked = np.zeros(self.descriptor.grid.coordinates, np.uint64)
        for body in self._answers[SecurePhase.REPORTING].values():
            masked += unpack(body, self.descriptor.grid)
        total = unmask(masked, recover_masks(self._rostered, self._sets, checked), self.descriptor.grid)
        self.sum = self._as_report(dequantise_scalars(total, round_layout(self._manifest, self._kind)))

    def _as_report(self, total: SummedReports) -> AcceptedReport:
        mean = to_real(total.update_steps, self.descriptor.grid) / max(total.weight, 1)
        return AcceptedReport(
            client_id="",
            values=_split(mean, self._manifest) if self._kind is RoundKind.TRAINING else {},
            examples=total.examples,
            weight=total.weight,
            evaluations=total.evaluations,
            sums=dict(zip(self._manifest.metrics, total.metrics, strict=False)),
        )

    def _check(self, client_id: str, answer: Answer | bytes) -> None:
        match answer:
            case Advert():
                check_advert(answer, self.descriptor.round_id, _public(self._keys.registry))
            case Shares():
                check_shares(self._rostered, self._position(client_id), answer)
            case Acknowledgement():
                survivors = self._survivors.survivors
                check_acknowledgement(self._rostered, self._position(client_id), answer, survivors)
            case Reveal():
                shares = self._by_position(SecurePhase.SHARING)
                check_reveal(self._rostered, self._position(client_id), answer, self._sets, shares)
            case bytes():
                if client_id not in self._answers[SecurePhase.SHARING]:
                    raise Refused(Slug.PHASE_CLOSED, f"the round goes on without {client_id}")
                unpack(answer, self.descriptor.grid)

    def _require(self, phase: SecurePhase) -> None:
        if self.abandoned or self.phase.place > phase.place:
            raise Refused(Slug.PHASE_CLOSED, self.abandoned or f"the round is {self.phase}")
        if self.phase.place < phase.place:
            raise Refused(Slug.PHASE_NOT_OPEN, f"the round is {self.phase}")

    @property
    def _view(self) -> PhaseView:
        return PhaseView(phase=self.phase, answered=len(self._answers[self.phase]), expected=self._expected)

    @property
    def _expected(self) -> int:
        if self.phase is SecurePhase.ADVERTISING:
            return self.descriptor.maximum_participants
        return len(self._answers[list(SecurePhase)[self.phase.place - 1]])

    def _position(self, client_id: str) -> int:
        return self._rostered.position_of(client_id)

    def _by_position(self, phase: SecurePhase) -> dict[int, Any]:
        return {self._position(client_id): answer for client_id, answer in self._answers[phase].items()}


def _split(vector: NDArray[np.float64], manifest: TaskManifest) -> dict[str, NDArray[np.float64]]:
    values, start = {}, 0
    for spec in manifest.report_tensors:
        values[spec.name] = vector[start : start + spec.element_count].reshape(spec.shape)
        start += spec.element_count
    return values


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()
