"""Options by which an enrolment key demands vouchers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from fedrec.commands.refusals import json_object, refusing_arguments
from fedrec.refused import Refused
from fedrec_protocol.vouchers import Vouchers


@dataclass(frozen=True)
class VoucherChoice:
    """What is said of vouchers; None where nothing is."""

    voucher_issuer: Annotated[
        str | None, typer.Option(help="Demand vouchers for the person who enrols, of this issuer: their `iss`.")
    ] = None
    voucher_audience: Annotated[str | None, typer.Option(help="Whom the vouchers are for: their `aud`.")] = None
    voucher_keys: Annotated[
        Path | None, typer.Option(help="File of the issuer's public keys: a JSON Web Key Set, each key with a `kid`.")
    ] = None
    voucher_bound: Annotated[
        bool | None,
        typer.Option(
            "--voucher-bound/--voucher-unbound",
            help="Whether a voucher has to name the device's key, so that it is of no use to a thief.",
        ),
    ] = None

    def demanded(self, *, now: Vouchers | None = None) -> Vouchers | None:
        """What is asked for; what is left out is as it is now. None where nothing is asked for."""
        with refusing_arguments():
            asked = {
                "issuer": self.voucher_issuer,
                "audience": self.voucher_audience,
                "keys": _key_set(self.voucher_keys),
                "bound": self.voucher_bound,
            }
            given = {name: value for name, value in asked.items() if value is not None}
            if not given:
                return None
            merged: dict[str, Any] = ({} if now is None else now.model_dump(mode="json")) | given
            if merged.keys() < asked.keys():
                raise Refused(
                    "vouchers need all of --voucher-issuer, --voucher-audience, --voucher-keys, "
                    "and --voucher-bound or --voucher-unbound"
                )
            return Vouchers.model_validate(merged)


def in_words(vouchers: Vouchers | None) -> str:
    """What a key demands, in one cell."""
    if vouchers is None:
        return "none"
    kids = ", ".join(key.kid for key in vouchers.keys.keys)
    return f"{vouchers.issuer} for {vouchers.audience}, {'bound' if vouchers.bound else 'unbound'}, keys {kids}"


def _key_set(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"{path} is no text in UTF-8") from error
    return json_object(text, "--voucher-keys")
