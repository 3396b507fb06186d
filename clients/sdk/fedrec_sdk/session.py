"""The protocol's requests as functions: what a participant asks of the aggregator and the registry."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from pydantic import ValidationError

from fedrec_protocol.base import Message, Response
from fedrec_protocol.codec import MEDIA_TYPE
from fedrec_protocol.digest import content_digest
from fedrec_protocol.encrypted_messages import ENCRYPTED_MEDIA_TYPE, DecryptionView, EncryptedSum
from fedrec_protocol.item_catalogue import CatalogueView
from fedrec_protocol.messages import CheckIn, CheckInRequest, ParticipantTask, Receipt, RoundKind
from fedrec_protocol.problems import Slug
from fedrec_protocol.registry_messages import AliasView
from fedrec_protocol.secure_messages import PhaseView, SecureOffer
from fedrec_sdk.answers import parse, parse_check_in
from fedrec_sdk.credentials import Authorise, Credentials
from fedrec_sdk.download import Weights, download
from fedrec_sdk.errors import rejected_here

if TYPE_CHECKING:
    from fedrec_sdk.transport import Answer, Transport

M = TypeVar("M", bound=Response)
_NOT_YET = 202
_ASK_AGAIN = timedelta(seconds=1)
"""Where an answer does not say when."""


class Session:
    """An authenticated conversation with one aggregator and its registry."""

    def __init__(self, aggregator_url: str, credentials: Credentials, transport: Callable[[], "Transport"]) -> None:
        self._url = aggregator_url
        self._credentials = credentials
        self._transport = transport

    def task(self) -> ParticipantTask:
        """The task and its manifest.

        Raises:
            Rejected: `invalid-manifest` when this SDK does not understand the manifest.
            Unavailable: no answer.
        """
        body = self._send("GET", self._url + "/v1/task")
        try:
            return ParticipantTask.model_validate_json(body)
        except ValidationError as error:
            # A field that we do not know may be a condition that we would not keep, so nothing is ignored.
            if any(problem["loc"][:1] == ("manifest",) for problem in error.errors()):
                detail = "this SDK does not understand the manifest; update it"
                raise rejected_here(Slug.INVALID_MANIFEST, detail) from error
        return parse(ParticipantTask, body)

    def check_in(self, kinds: tuple[RoundKind, ...], hold_seconds: float) -> CheckIn:
        """Ask for work; the server may hold the answer for so long.

        Raises:
            Rejected: this client may not take part.
            Unavailable: no answer.
        """
        headers = {"Content-Type": "application/json"}
        if hold_seconds >= 1.0:
            headers["Prefer"] = f"wait={int(hold_seconds)}"
        body = self._send(
            "POST",
            self._url + "/v1/check-ins",
            headers=headers,
            body=CheckInRequest(kinds=kinds).model_dump_json().encode(),
            held=hold_seconds,
        )
        return parse_check_in(body)

    def report(self, assignment_id: str, base_version_id: str, body: bytes, *, media_type: str = MEDIA_TYPE) -> Receipt:
        """Send a report; the same bytes again give the same receipt.

        Raises:
            Rejected: it was not counted, and will not be.
            Unavailable: no answer; it may have been counted.
        """
        headers = {
            "Content-Type": media_type,
            "Content-Digest": content_digest(body),
            "Fedrec-Base-Version": base_version_id,
        }
        url = f"{self._assignment_url(assignment_id)}/report"
        return parse(Receipt, self._send("POST", url, headers=headers, body=body))

    def secure_offer(self, assignment_id: str) -> SecureOffer:
        """What is needed to join a secure round.

        Raises:
            Rejected: `phase-closed` when it is too late.
            Unavailable: no answer.
        """
        return parse(SecureOffer, self._send("GET", self._secure_url(assignment_id)))

    def send_secure(self, assignment_id: str, resource: str, message: Message) -> None:
        """Send a message of a secure round; the same one again changes nothing.

        Raises:
            Rejected: `phase-closed` when it is too late; or it does not verify.
            Unavailable: no answer; it may have been accepted.
        """
        url = f"{self._secure_url(assignment_id)}/{resource}"
        headers = {"Content-Type": "application/json"}
        parse(PhaseView, self._send("PUT", url, headers=headers, body=message.model_dump_json().encode()))

    def read_secure(self, assignment_id: str, resource: str, kind: type[M]) -> M | timedelta:
        """What a phase of a secure round has frozen; until it has, when to ask again.

        Raises:
            Rejected: `phase-closed` when the round goes on without this device.
            Unavailable: no answer.
        """
        answer = self._answer("GET", f"{self._secure_url(assignment_id)}/{resource}")
        if answer.status == _NOT_YET:
            return answer.retry_after or _ASK_AGAIN
        return parse(kind, answer.body)

    def read_encrypted_sum(self, assignment_id: str) -> EncryptedSum | timedelta:
        """What the encrypted sum of one's round is of; until the round has closed, when to ask again.

        Raises:
            Rejected: `phase-closed` when the round is over.
            Unavailable: no answer.
        """
        answer = self._answer("GET", f"{self._assignment_url(assignment_id)}/encrypted-sum")
        if answer.status == _NOT_YET:
            return answer.retry_after or _ASK_AGAIN
        return parse(EncryptedSum, answer.body)

    def encrypted_words(self, assignment_id: str) -> bytes:
        """The words of the encrypted sum.

        Raises:
            Rejected: `phase-closed` when the round is over.
            Unavailable: no answer.
        """
        return self._send("GET", f"{self._assignment_url(assignment_id)}/encrypted-sum/words")

    def send_decrypted(self, assignment_id: str, body: bytes) -> None:
        """Send what the encrypted sum was decrypted to; the same again changes nothing.

        Raises:
            Rejected: `phase-closed` when it is too late; or it is no sum of the round.
            Unavailable: no answer; it may have been accepted.
        """
        headers = {"Content-Type": ENCRYPTED_MEDIA_TYPE, "Content-Digest": content_digest(body)}
        url = f"{self._assignment_url(assignment_id)}/decrypted-sum"
        parse(DecryptionView, self._send("PUT", url, headers=headers, body=body))

    def alias(self, registry_url: str, model: str, alias: str) -> AliasView:
        """The version that an alias names now.

        Raises:
            Rejected: `unknown-model` or `unknown-alias`.
            Unavailable: no answer.
        """
        url = f"{registry_url}/v1/models/{quote(model, safe='')}/aliases/{quote(alias, safe='')}"
        return parse(AliasView, self._send("GET", url))

    def catalogue(self, registry_url: str, model: str, *, since: int) -> CatalogueView:
        """The model's catalogue of items, as what changed after a version of it.

        Raises:
            Rejected: `unknown-model` or `unknown-catalogue`.
            Unavailable: no answer.
        """
        url = f"{registry_url}/v1/models/{quote(model, safe='')}/catalogue?since={since}"
        return parse(CatalogueView, self._send("GET", url))

    def download(self, weights: Weights, part: Path) -> None:
        """Fill a file with weights; see `fedrec_sdk.download`."""
        self._credentials.authorised(lambda authorise: download(self._transport(), weights, authorise, part))

    def _secure_url(self, assignment_id: str) -> str:
        return f"{self._assignment_url(assignment_id)}/secure"

    def _assignment_url(self, assignment_id: str) -> str:
        return f"{self._url}/v1/assignments/{quote(assignment_id, safe='')}"

    def _send(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        held: float = 0.0,
    ) -> bytes:
        return self._answer(method, url, headers=headers, body=body, held=held).body

    def _answer(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        held: float = 0.0,
    ) -> "Answer":
        def send(authorise: Authorise) -> "Answer":
            sent = {**(headers or {}), **authorise(method, url, body)}
            return self._transport().send(method, url, headers=sent, body=body, held=held)

        return self._credentials.authorised(send)
