"""Tags add up as ciphertexts do, and nothing but the sum of one report of each named silo passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from fedrec_protocol.encrypted.parameters import MODULUS
from fedrec_protocol.encrypted.tags import TAGS, Author, SumTags, round_context
from fedrec_protocol.encrypted.words import Malformed, from_bytes, reduced, to_bytes

ROUND = {"task_id": "tsk", "round_number": 3, "kind": "training", "base_digest": "ab", "manifest_digest": "cd"}
CONTEXT = round_context(**ROUND)  # type: ignore[arg-type]  # texts and a number, as they are named
SILOS = [Author(f"cli-{number}", f"asg-{number}") for number in range(4)]
SIZE = 3000
"""More than one piece of a thousand."""
Words = NDArray[np.uint64]


@pytest.fixture
def tags() -> SumTags:
    return SumTags(bytes(range(32)), CONTEXT)


def words_of(number: int) -> Words:
    return np.random.default_rng(number).integers(0, MODULUS, SIZE, np.uint64)


def added(*vectors: Words) -> Words:
    """Modulo q, with Python's integers."""
    return np.array([sum(map(int, column)) % MODULUS for column in zip(*vectors, strict=True)], np.uint64)


def test_the_tags_of_a_sum_are_the_sum_of_the_tags(tags: SumTags) -> None:
    words = [words_of(number) for number in range(4)]
    own = [tags.tag(vector, silo) for vector, silo in zip(words, SILOS, strict=True)]
    assert tags.is_sum(added(*words), added(*own), SILOS)
    assert own[0].shape == (TAGS,)
    assert max(int(tag.max()) for tag in own) < MODULUS


def test_a_sum_is_of_the_silos_that_are_named_and_of_no_others(tags: SumTags) -> None:
    words = [words_of(number) for number in range(4)]
    own = [tags.tag(vector, silo) for vector, silo in zip(words, SILOS, strict=True)]
    three = added(*words[:3]), added(*own[:3])
    assert tags.is_sum(*three, SILOS[:3])
    assert not tags.is_sum(*three, SILOS)
    assert not tags.is_sum(*three, SILOS[:2])
    assert not tags.is_sum(*three, [*SILOS[:2], SILOS[3]])
    assert not tags.is_sum(words[0], own[0], SILOS[:3])


@pytest.mark.parametrize("times", [2, 3, MODULUS - 1])
def test_a_report_that_is_counted_more_than_once_is_no_sum_of_several(tags: SumTags, times: int) -> None:
    words, own = words_of(0), tags.tag(words_of(0), SILOS[0])
    words, own = (np.array([int(word) * times % MODULUS for word in vector], np.uint64) for vector in (words, own))
    assert not tags.is_sum(words, own, SILOS[:2])
    assert not tags.is_sum(words, own, [SILOS[0]] * 2)


@pytest.mark.parametrize("place", [0, 999, 1000, SIZE - 1])
def test_one_changed_word_is_found(tags: SumTags, place: int) -> None:
    words = words_of(0)
    own = tags.tag(words, SILOS[0])
    words[place] = (int(words[place]) + 1) % MODULUS
    assert not tags.is_sum(words, own, SILOS[:1])


@pytest.mark.parametrize(
    "other",
    [
        SumTags(bytes(range(32)), round_context(**ROUND | {"round_number": 4})),  # type: ignore[arg-type]  # as above
        SumTags(bytes(range(32)), round_context(**ROUND | {"base_digest": "ac"})),  # type: ignore[arg-type]  # as above
        SumTags(bytes(range(1, 33)), CONTEXT),
    ],
)
def test_tags_are_of_one_round_and_one_key(tags: SumTags, other: SumTags) -> None:
    assert not other.is_sum(words_of(0), tags.tag(words_of(0), SILOS[0]), SILOS[:1])


def test_tags_of_one_vector_look_unrelated_from_silo_to_silo(tags: SumTags) -> None:
    shown = {tuple(tags.tag(words_of(0), replace(SILOS[0], assignment_id=f"asg-{number}"))) for number in range(20)}
    assert len(shown) == 20
    differences = {(int(one[0]) - int(other[0])) % MODULUS for one in shown for other in shown if one != other}
    assert len(differences) == 20 * 19


def test_words_survive_their_seven_bytes_and_a_sum_of_many_is_reduced_once() -> None:
    most = np.full(4, MODULUS - 1, np.uint64)
    assert (from_bytes(to_bytes(most), 4) == most).all()
    total = np.zeros(4, np.int64)
    for _ in range(1023):
        total += most.view(np.int64)
    assert reduced(total).tolist() == [1023 * (MODULUS - 1) % MODULUS] * 4


@pytest.mark.parametrize(
    "body", [to_bytes(np.zeros(3, np.uint64)), b"", MODULUS.to_bytes(7, "little") * 4, b"\xff" * 28]
)
def test_a_body_of_another_length_or_with_words_above_the_modulus_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        from_bytes(body, 4)
