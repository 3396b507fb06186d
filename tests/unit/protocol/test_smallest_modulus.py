"""The fewest bits in which a sum of masked values cannot wrap."""

import pytest

from fedrec.manifests import manifest_for
from fedrec.masks import with_masks
from fedrec_protocol.manifest import RoundPolicy
from fedrec_protocol.secure_aggregation import SecureAggregation, smallest_modulus
from fedrec_recipes.mf import MatrixFactorisation, MatrixFactorisationConfig


@pytest.mark.parametrize(
    ("value_bits", "cohort", "modulus"),
    [(16, 128, 24), (16, 255, 24), (16, 256, 32), (8, 5, 16), (20, 1000, 32), (24, 127, 32), (56, 255, 64)],
)
def test_the_modulus_has_room_and_a_byte_less_has_none(value_bits: int, cohort: int, modulus: int) -> None:
    assert smallest_modulus(value_bits, cohort) == modulus
    SecureAggregation(modulus_bits=modulus, value_bits=value_bits, minimum_cohort=5).require_room_for(cohort)
    # N * 2**(q-1) < 2**(b-1), with Python's integers.
    assert cohort * 2 ** (value_bits - 1) < 2 ** (modulus - 1)
    if modulus > 16:
        assert cohort * 2 ** (value_bits - 1) >= 2 ** (modulus - 8 - 1)


def test_more_than_64_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit in 64 bits"):
        smallest_modulus(60, 1000)


def test_a_task_is_masked_on_the_plain_grid_or_in_24_bits() -> None:
    recipe = MatrixFactorisation(MatrixFactorisationConfig(number_of_items=20))
    plain = manifest_for(recipe, name="films", rounds=RoundPolicy(aggregation_goal=100), round_budget=1)
    same, small = with_masks(plain), with_masks(plain, value_bits=16)
    assert same.fraction_bits == plain.fraction_bits
    assert small.secure_aggregation is not None
    assert (small.secure_aggregation.modulus_bits, small.secure_aggregation.value_bits) == (24, 16)
    assert small.fraction_bits < plain.fraction_bits
