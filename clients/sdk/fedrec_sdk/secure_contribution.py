"""A secure round on the device: one step for each phase, each of which can be repeated after a crash."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import numpy as np

from fedrec_protocol.base import Response
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.problems import Slug
from fedrec_protocol.secagg.errors import Reason, Refused
from fedrec_protocol.secagg.messages import Acknowledgements, Inbox, Roster, Survivors
from fedrec_protocol.secagg.of_task import minimum_survivors, round_descriptor
from fedrec_protocol.secagg.participant import (
    Acknowledged,
    Device,
    Joined,
    Participation,
    Reported,
    Revealed,
    Shared,
    Terms,
    join,
    load,
    save,
)
from fedrec_protocol.secure_messages import MASKED_MEDIA_TYPE, SecureOffer
from fedrec_sdk.errors import rejected_here
from fedrec_sdk.identity import DeviceKey
from fedrec_sdk.outcomes import Contributed, Outcome, WaitingForOthers
from fedrec_sdk.phases import Left, Phases
from fedrec_sdk.session import Session
from fedrec_sdk.store import LocalStore
from fedrec_sdk.store.secure_rounds import PendingSecureRound

log = logging.getLogger(__name__)
M = TypeVar("M", bound=Response)

_TOO_FEW = frozenset({Reason.COHORT_TOO_SMALL, Reason.BELOW_THRESHOLD})
"""Refusals that nobody is to blame for: others have left."""


@dataclass(frozen=True)
class Demands:
    """What an app asks of a task before its device takes part."""

    is_required: bool = False
    """Whether reports must be masked."""
    minimum_cohort: int | None = None
    """Fewest participants among whom the device hides; None takes what the manifest says."""
    registry_key: bytes | None = None
    """The device registry's Ed25519 key; None takes the one that the aggregator names."""

    def require(self, manifest: TaskManifest) -> None:
        """Refuse a manifest that promises less.

        Raises:
            Rejected: `secure-aggregation-required`.
        """
        if manifest.secure_aggregation is None and self.is_required:
            raise rejected_here(Slug.SECURE_AGGREGATION_REQUIRED, "the task's reports are not masked")
        if manifest.opaque is None or self.minimum_cohort is None:
            return
        floor = manifest.rounds.minimum_reports if manifest.secure_aggregation is None else minimum_survivors(manifest)
        if floor < self.minimum_cohort:
            detail = f"the task's sums are of at least {floor}, not {self.minimum_cohort} participants"
            raise rejected_here(Slug.SECURE_AGGREGATION_REQUIRED, detail)


class SecureContribution:
    """Takes part in the secure round that the store holds."""

    def __init__(self, store: LocalStore, session: Session, demands: Demands, key: Callable[[], DeviceKey]) -> None:
        self._rounds = store.secure_rounds
        self._session = session
        self._demands = demands
        self._key = key
        self._phases = Phases(store.secure_rounds)
        self._sent: tuple[str, str] | None = None

    def proceed(self, manifest: TaskManifest, hold_seconds: float) -> Outcome:
        """Answer all that can be answered now, and wait for the others for up to so long.

        Raises:
            Unavailable: it stopped half-way; calling again goes on from there.
            Rejected: the server refused a message, or this device refuses the round, which is then dropped.
        """
        return self._phases.proceed(lambda pending: self._attempt(manifest, pending), hold_seconds)

    def _attempt(self, manifest: TaskManifest, pending: PendingSecureRound) -> Outcome | None:
        """One step; None when there is another to take at once."""
        try:
            return self._step(manifest, pending)
        except Refused as refusal:
            if refusal.reason in _TOO_FEW:
                raise Left(refusal.reason) from refusal
            raise rejected_here(Slug.SECURE_ROUND_REFUSED, str(refusal)) from refusal

    def _step(self, manifest: TaskManifest, pending: PendingSecureRound) -> Outcome | None:
        state = None if pending.state is None else load(pending.state)
        sign = self._key().sign
        match state:
            case None:
                self._join(manifest, pending)
            case Joined():
                self._send(pending, state, "advert")
                return self._await(pending, "roster", Roster, lambda roster: state.on_roster(roster, sign, os.urandom))
            case Shared():
                self._send(pending, state, "shares")
                return self._await_inbox(pending, state)
            case Reported():
                self._report(pending)
                return self._await(pending, "survivors", Survivors, lambda found: state.on_survivors(found, sign))
            case Acknowledged():
                self._send(pending, state, "acknowledgement")
                return self._await(
                    pending, "acknowledgements", Acknowledgements, lambda found: state.on_acknowledgements(found, sign)
                )
            case Revealed():
                self._send(pending, state, "reveal")
                self._rounds.discard()
                return Contributed(pending.report_id or "", pending.round_number, pending.kind)
        return None

    def _join(self, manifest: TaskManifest, pending: PendingSecureRound) -> None:
        offer = self._session.secure_offer(pending.assignment_id)
        self._require_agreed(manifest, pending, offer)
        terms = Terms(
            registry_key=offer.registry_key,
            server_key=offer.server_key,
            base_digest=bytes.fromhex(pending.base_digest),
            minimum_survivors=minimum_survivors(manifest),  # which the app's demand was compared with
            answered=self._rounds.joined(),
        )
        state = join(offer.signed, Device(offer.certificate, self._key().sign), terms, os.urandom)
        self._rounds.join(offer.signed.descriptor.round_id, save(state))

    def _require_agreed(self, manifest: TaskManifest, pending: PendingSecureRound, offer: SecureOffer) -> None:
        """The descriptor must be the one that the manifest and the assignment lead to."""
        stated = offer.signed.descriptor
        agreed = round_descriptor(
            manifest,
            pending.kind,
            task_id=pending.task_id,
            round_number=pending.round_number,
            base_digest=pending.base_digest,
            nonce=stated.nonce,
            deadlines=stated.deadlines,
        )
        if stated != agreed:
            raise Refused(Reason.WRONG_ROUND, "the round is not what the manifest says")
        if self._demands.registry_key not in {None, offer.registry_key}:
            raise Refused(Reason.BAD_KEY, "the device registry's key is not the one that this app knows")
        if offer.certificate.device_key != self._key().public_bytes:
            raise Refused(Reason.BAD_KEY, "the certificate is another device's")

    def _await(
        self, pending: PendingSecureRound, resource: str, kind: type[M], answer: Callable[[M], Participation]
    ) -> Outcome | None:
        """Go on to the next state if what it answers is frozen, and store it before its answer is sent."""
        message = self._session.read_secure(pending.assignment_id, resource, kind)
        if isinstance(message, timedelta):
            return WaitingForOthers(message, pending.round_number)
        self._rounds.answer(save(answer(message)))
        return None

    def _await_inbox(self, pending: PendingSecureRound, state: Shared) -> Outcome | None:
        inbox = self._session.read_secure(pending.assignment_id, "inbox", Inbox)
        if isinstance(inbox, timedelta):
            return WaitingForOthers(inbox, pending.round_number)
        following, body = state.on_inbox(inbox, np.frombuffer(pending.vector, "<i8").astype(np.int64, copy=False))
        self._rounds.mask(save(following), body)
        return None

    def _report(self, pending: PendingSecureRound) -> None:
        if pending.body is None:
            return
        receipt = self._session.report(
            pending.assignment_id, pending.base_version_id, pending.body, media_type=MASKED_MEDIA_TYPE
        )
        self._rounds.count(pending, receipt.report_id)
        log.info("round %d: masked report %s counted", pending.round_number, receipt.report_id)

    def _send(
        self, pending: PendingSecureRound, state: Joined | Shared | Acknowledged | Revealed, resource: str
    ) -> None:
        """Send a state's answer once in this process; another one sends the same again, which changes nothing."""
        if self._sent != (pending.assignment_id, resource):
            self._session.send_secure(pending.assignment_id, resource, state.answer)
            self._sent = (pending.assignment_id, resource)
