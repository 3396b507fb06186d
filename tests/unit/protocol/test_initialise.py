"""The first parameters: made from the manifest alone, so that anybody can make them again."""

from __future__ import annotations

import numpy as np
import pytest

from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.tensors import DType, Initialiser, InitialiserKind, TensorSpec

BIG = (200, 100)


def spec(name: str, kind: str, scale: float = 1.0, dtype: DType = DType.F32) -> TensorSpec:
    return TensorSpec(name=name, shape=BIG, dtype=dtype, init=Initialiser(kind=InitialiserKind(kind), scale=scale))


SPECS = (spec("a", "normal", 0.1), spec("b", "uniform", 0.5), spec("c", "zeros"), spec("d", "ones"))


def test_tensors_have_the_distribution_that_they_state() -> None:
    made = initial_parameters(SPECS, seed=3)
    assert list(made) == ["a", "b", "c", "d"]
    count = BIG[0] * BIG[1]
    # Five standard errors: of a mean sigma / sqrt(n), of a standard deviation sigma / sqrt(2n).
    assert abs(made["a"].mean()) < 5 * 0.1 / count**0.5
    assert made["a"].std() == pytest.approx(0.1, abs=5 * 0.1 / (2 * count) ** 0.5)
    assert -0.5 <= made["b"].min() < -0.49 < 0.49 < made["b"].max() <= 0.5
    assert made["b"].std() == pytest.approx(1 / 12**0.5, rel=0.02)
    assert not made["c"].any()
    assert (made["d"] == 1).all()


def test_a_tensor_depends_on_the_seed_and_its_name_only() -> None:
    alone = initial_parameters((SPECS[1],), seed=3)["b"]
    np.testing.assert_array_equal(alone, initial_parameters(SPECS, seed=3)["b"])
    assert (alone != initial_parameters((SPECS[1],), seed=4)["b"]).any()
    assert (alone != initial_parameters((spec("e", "uniform", 0.5),), seed=3)["e"]).any()


@pytest.mark.parametrize("dtype", [DType.F16, DType.F32, DType.F64])
def test_tensors_have_the_element_type_that_they_state(dtype: DType) -> None:
    made = initial_parameters((spec("a", "normal", dtype=dtype),), seed=0)["a"]
    assert (made.dtype, made.shape) == (dtype.numpy, BIG)
