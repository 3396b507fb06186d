"""What a sum under homomorphic encryption takes: CKKS by TenSEAL, with the parameters that its documents use."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import tenseal

_DEGREE = 8192
_MODULUS_BITS = (60, 40, 60)
_SCALE = 2.0**40
_SLOTS = _DEGREE // 2


@dataclass(frozen=True)
class CkksCosts:
    """CPU seconds and bytes of one silo, and of the server for each silo."""

    encrypt_seconds: float
    decrypt_seconds: float
    upload_bytes: int
    add_seconds: float
    """The server, for one silo's upload: read the ciphertexts and add them."""
    largest_error: float
    """Of one coordinate of the sum."""


def measure_ckks(coordinates: int, silos: int) -> CkksCosts:
    """Silos share one secret key; the server has the public context only, and adds."""
    secret = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS, poly_modulus_degree=_DEGREE, coeff_mod_bit_sizes=list(_MODULUS_BITS)
    )
    secret.global_scale = _SCALE
    public = tenseal.context_from(secret.serialize(save_secret_key=False))
    update = np.random.default_rng(0).normal(scale=1e-2, size=coordinates)
    started = time.process_time()
    upload = [tenseal.ckks_vector(secret, part).serialize() for part in _parts(update)]
    encrypted = time.process_time()
    total = [tenseal.ckks_vector_from(public, part) for part in upload]
    loaded = time.process_time()
    for _ in range(silos - 1):
        for place, part in enumerate(upload):
            total[place] += tenseal.ckks_vector_from(public, part)
    added = time.process_time()
    sums = [part.serialize() for part in total]
    ready = time.process_time()
    plain = np.concatenate([tenseal.ckks_vector_from(secret, part).decrypt() for part in sums])
    return CkksCosts(
        encrypt_seconds=encrypted - started,
        decrypt_seconds=time.process_time() - ready,
        upload_bytes=sum(len(part) for part in upload),
        add_seconds=(added - loaded) / (silos - 1),
        largest_error=float(np.abs(plain - silos * update).max()),
    )


def _parts(update: np.ndarray[Any, np.dtype[np.float64]]) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
    return [update[start : start + _SLOTS] for start in range(0, len(update), _SLOTS)]
