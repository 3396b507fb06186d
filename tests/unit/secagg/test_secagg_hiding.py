"""What a masked report shows, and what naive variants of the protocol would give away."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chisquare

from fedrec_protocol.secagg.grid import Grid, to_signed
from fedrec_protocol.secagg.keys import KeyPair, pair_mask_key, seed_mask_key
from fedrec_protocol.secagg.masks import Mask, apply_masks
from fedrec_protocol.secagg.packing import pack, unpack
from fedrec_protocol.secagg.server.context import RosteredRound
from fedrec_protocol.secagg.shamir import recover
from tests.unit.secagg.secagg_round import Round, Stream, grid, vector_of

WIDE = grid(coordinates=40_000)


def masked(this: Round, constant: int = 0) -> dict[int, bytes]:
    this.share()
    this.report(lambda _: np.full(this.stated.grid.coordinates, constant))
    return this.bodies


def is_uniform(octets: NDArray[np.uint8]) -> bool:
    """Chi-square on the 256 byte values; a false alarm once in ten thousand."""
    return bool(chisquare(np.bincount(octets, minlength=256)).pvalue > 1e-4)


def test_the_bytes_of_a_masked_report_are_uniform_whatever_the_vector() -> None:
    for constant in (0, 2**15 - 1):
        for body in masked(Round.of(5, grid=WIDE), constant).values():
            octets = np.frombuffer(body, np.uint8)
            assert is_uniform(octets)
            assert all(is_uniform(octets[offset::3]) for offset in range(3))


def test_the_same_participants_and_vectors_mask_differently_in_every_round() -> None:
    # Same devices, same entropy, same vectors: only the nonce differs, and with it the salt of every key.
    # Without the salt the difference of two reports would be the difference of two vectors: here zero.
    first, second = masked(Round.of(5, grid=WIDE)), masked(Round.of(5, grid=WIDE, nonce=bytes(32)))
    for body in first.values():
        difference = unpack(body, WIDE) - unpack(second[0], WIDE)
        assert is_uniform(np.ascontiguousarray(difference).view(np.uint8).reshape(-1, 4)[:, :3].reshape(-1))


def test_reports_of_participants_who_saw_different_models_sum_to_noise() -> None:
    # Pasquini et al. 2022: an operator shows one participant another model, to isolate what it adds to the sum.
    # That participant is in another round by its salt, and its masks cancel with nobody's.
    honest, fooled = Round.of(5, grid=WIDE), Round.of(5, grid=WIDE, base_digest=bytes(32))
    bodies = masked(honest) | {4: masked(fooled)[4]}
    total: NDArray[np.uint32] = np.sum([unpack(body, WIDE) for body in bodies.values()], axis=0, dtype=np.uint32)
    everything_the_operator_may_recover = [
        Mask(seed_mask_key(seed_of(this, position), this.rostered.round_id), is_added=False)
        for this, positions in ((honest, range(4)), (fooled, [4]))
        for position in positions
    ]
    apply_masks(total, everything_the_operator_may_recover)
    assert is_uniform(total.view(np.uint8).reshape(-1, 4)[:, :3].reshape(-1))


def seed_of(this: Round, position: int) -> bytes:
    """The seed that this participant's fixed stream of entropy gave it: third after its two private keys."""
    return Stream(f"participant {this.rostered.adverts[position].certificate.client_id}")(96)[64:]


def naive_unmask(this: Round, target: int, secrets: tuple[bytes | None, bytes | None]) -> NDArray[np.int64]:
    """Take every mask off one report whose key can be derived from what the operator has."""
    rostered: RosteredRound = this.rostered
    stated: Grid = this.stated.grid
    seed, mask_private = secrets
    masks = [] if seed is None else [Mask(seed_mask_key(seed, rostered.round_id), is_added=False)]
    if mask_private is not None:
        pair = KeyPair(mask_private)
        masks += [
            Mask(pair_mask_key(pair, rostered.adverts[o].mask_key, rostered.round_id), is_added=o < target)
            for o in rostered.graph.neighbours(target)
        ]
    words = unpack(this.bodies[target], stated)
    apply_masks(words, masks)
    return to_signed(words, stated.modulus_bits)


def shares_of(this: Round, target: int, kind: str, holders: range) -> bytes | None:
    """What an operator recovers if these holders hand out this share of the target."""
    return recover(
        {
            holder + 1: next(getattr(pair, kind) for pair in this.states[holder].held if pair.dealer == target)
            for holder in holders
        }
    )


def round_with_reports() -> Round:
    this = Round.of(9)
    this.share()
    this.report(vector_of)
    return this


def test_holders_who_gave_both_shares_would_give_away_the_vector() -> None:
    this = round_with_reports()
    seed, mask_private = shares_of(this, 4, "seed", range(7)), shares_of(this, 4, "mask_key", range(7))
    np.testing.assert_array_equal(naive_unmask(this, 4, (seed, mask_private)), vector_of(4))


def test_without_the_own_mask_a_report_called_late_would_be_readable() -> None:
    # Single masking: "you dropped out" makes the neighbours give the mask key, and the report is in the clear.
    this = round_with_reports()
    mask_private = shares_of(this, 4, "mask_key", range(7))
    assert not np.array_equal(naive_unmask(this, 4, (None, mask_private)), vector_of(4))
    words = unpack(this.bodies[4], this.stated.grid)
    apply_masks(words, [Mask(seed_mask_key(seed_of(this, 4), this.rostered.round_id), is_added=False)])
    this.bodies[4] = pack(words, this.stated.grid)
    np.testing.assert_array_equal(naive_unmask(this, 4, (None, mask_private)), vector_of(4))


def test_fewer_than_t_holders_cannot_help_the_operator() -> None:
    this = round_with_reports()
    seed, mask_private = shares_of(this, 4, "seed", range(6)), shares_of(this, 4, "mask_key", range(6))
    assert seed is None or not np.array_equal(naive_unmask(this, 4, (seed, mask_private)), vector_of(4))
