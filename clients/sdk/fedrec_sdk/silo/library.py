"""TenSEAL, which only silos need: an optional extra, imported when it is first used."""

from importlib import import_module
from typing import Any

from fedrec_protocol.encrypted.parameters import DEGREE, MODULUS, PLAIN_MODULUS, Scheme
from fedrec_sdk.errors import FedrecError


class EncryptionUnavailable(FedrecError):
    """The optional extra `ckks` is not installed."""


def seal() -> Any:
    """TenSEAL's bindings of Microsoft SEAL.

    Raises:
        EncryptionUnavailable: it is not installed.
    """
    try:
        return import_module("tenseal.sealapi")
    except ImportError as error:
        raise EncryptionUnavailable("homomorphic encryption needs TenSEAL: pip install 'fedrec-sdk[ckks]'") from error


def context(scheme: Scheme) -> Any:
    """SEAL's context with the parameters of `fedrec_protocol.encrypted.parameters`.

    SEAL itself refuses parameters below 256 bits of classical security here.
    """
    library = seal()
    is_bfv = scheme is Scheme.BFV
    chosen = library.EncryptionParameters(library.SCHEME_TYPE.BFV if is_bfv else library.SCHEME_TYPE.CKKS)
    chosen.set_poly_modulus_degree(DEGREE)
    chosen.set_coeff_modulus([library.Modulus(MODULUS)])
    if is_bfv:
        chosen.set_plain_modulus(library.Modulus(PLAIN_MODULUS))
    made = library.SEALContext(chosen, False, library.SEC_LEVEL_TYPE.TC256)
    if not made.parameters_set():
        raise RuntimeError(f"SEAL refuses the parameters: {made.parameters_error_message()}")
    return made
