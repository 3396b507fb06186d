"""The first parameters of a task, made from the manifest alone: anybody can make them again."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.tensors import InitialiserKind, Tensors, TensorSpec


def initial_parameters(specs: tuple[TensorSpec, ...], seed: int) -> Tensors:
    """Fill every tensor as its `init` says.

    A tensor's values depend on the seed and its name only, so adding a tensor changes no other.

    Returns:
        One array per specification, in their order, of its shape and element type.
    """
    return {spec.name: _filled(spec, _generator(seed, spec.name)) for spec in specs}


def _generator(seed: int, name: str) -> np.random.Generator:
    key = hashlib.sha256(f"{seed}:{name}".encode()).digest()[:16]
    return np.random.Generator(np.random.Philox(key=np.frombuffer(key, np.uint64)))


def _filled(spec: TensorSpec, generator: np.random.Generator) -> NDArray[np.generic]:
    values: NDArray[np.float64]
    match spec.init.kind:
        case InitialiserKind.ZEROS:
            values = np.zeros(spec.shape)
        case InitialiserKind.ONES:
            values = np.ones(spec.shape)
        case InitialiserKind.NORMAL:
            values = generator.normal(0.0, spec.init.scale, spec.shape)
        case InitialiserKind.UNIFORM:
            values = generator.uniform(-spec.init.scale, spec.init.scale, spec.shape)
    return values.astype(spec.dtype.numpy)
