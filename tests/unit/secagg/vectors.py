"""Known answers for other implementations; `python -m tests.unit.secagg.vectors` writes them."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from fedrec_protocol.secagg import keys, shamir
from fedrec_protocol.secagg.graph import round_graph
from fedrec_protocol.secagg.masks import Mask, apply_masks
from fedrec_protocol.secagg.quantise import ReportValues, quantise, report_layout
from fedrec_protocol.secagg.ring_parameters import ring_parameters
from tests.unit.secagg.secagg_round import (
    REGISTRY,
    SERVER,
    Round,
    Stream,
    descriptor,
    grid,
    public,
    sum_of,
    vector_of,
)

FOLDER = Path(__file__).parents[3] / "docs" / "secagg-test-vectors"
_TENTH = Fraction(1, 10)


def build() -> dict[str, Any]:
    """The contents of each file, by name."""
    return {
        "shamir.json": _shamir(),
        "keys.json": _keys(),
        "masks.json": _masks(),
        "quantisation.json": _quantisation(),
        "ring.json": _ring(),
        "round.json": _round(),
    }


def _shamir() -> list[dict[str, Any]]:
    cases = []
    for threshold, points in ((1, [1]), (3, [1, 2, 3, 4, 5]), (4, [7, 1000, 3, 128, 2])):
        secret = Stream(f"secret {threshold}")(32)
        stream = Stream(f"coefficients {threshold}")
        leading = [int.from_bytes(stream(64), "big") % shamir.PRIME for _ in range(threshold - 1)]
        shares = shamir.split(secret, points, threshold, Stream(f"coefficients {threshold}"))
        cases.append(
            {
                "secret": secret.hex(),
                "threshold": threshold,
                "coefficients_highest_first": [f"{value:066x}" for value in leading],
                "shares": {str(point): share.hex() for point, share in shares.items()},
            }
        )
    return cases


def _keys() -> dict[str, Any]:
    round_id, seed = Stream("round id")(32), Stream("seed")(32)
    ours, theirs = keys.KeyPair(Stream("ours")(32)), keys.KeyPair(Stream("theirs")(32))
    return {
        "round_id": round_id.hex(),
        "our_private": Stream("ours")(32).hex(),
        "our_public": ours.public.hex(),
        "their_public": theirs.public.hex(),
        "shared_secret": ours.agree(theirs.public).hex(),
        "pair_mask_key": keys.pair_mask_key(ours, theirs.public, round_id).hex(),
        "sealing_key": keys.sealing_key(ours, theirs.public, round_id).hex(),
        "seed": seed.hex(),
        "own_mask_key": keys.seed_mask_key(seed, round_id).hex(),
        "seed_commitment": keys.seed_commitment(seed, round_id).hex(),
    }


def _masks() -> list[dict[str, Any]]:
    cases = []
    for modulus_bits in (16, 24, 32, 64):
        stated = grid(coordinates=6, modulus_bits=modulus_bits, value_bits=8, fraction_bits=4)
        added, subtracted = Stream("added")(32), Stream("subtracted")(32)
        words = np.array([0, 1, -1, 127, -128, 5]).astype(stated.word)
        apply_masks(words, [Mask(added, is_added=True), Mask(subtracted, is_added=False)])
        cases.append(
            {
                "modulus_bits": modulus_bits,
                "vector": [0, 1, -1, 127, -128, 5],
                "added_key": added.hex(),
                "subtracted_key": subtracted.hex(),
                "masked": [int(word) % 2**modulus_bits for word in words],
            }
        )
    return cases


def _quantisation() -> dict[str, Any]:
    layout = report_layout(model_coordinates=4, value_bits=16, maximum_weight=100, maximum_examples=100, metrics=1)
    stated = grid(coordinates=layout.coordinates, maximum_weight=100, fraction_bits=8)
    update, weight, evaluations, metrics = [0.5, -0.25, 0.001953125, 0.75], 7, 3, (2.5,)
    report = ReportValues(np.array(update, np.float32), weight, weight, evaluations, metrics)
    return {
        "grid": stated.model_dump(mode="json"),
        "scalars": [{"name": scalar.name, "bits": scalar.bits} for scalar in layout.scalars],
        "update": update,
        "weight": weight,
        "examples": weight,
        "evaluations": evaluations,
        "metrics": metrics,
        "vector": quantise(report, stated, layout).tolist(),
    }


def _ring() -> dict[str, Any]:
    roster_hash = Stream("roster")(32)
    stated = descriptor(participants=200, ring={"degree": 6, "threshold": 4}, grid=grid(modulus_bits=32))
    graph = round_graph(stated, 130, roster_hash)
    found = {
        str(size): ring_parameters(size, corrupt=_TENTH, dropouts=_TENTH).model_dump() for size in (100, 200, 500, 1000)
    }
    return {
        "roster_hash": roster_hash.hex(),
        "size": 130,
        "degree": 6,
        "first_of_the_ring": list(graph.ring or ())[:10],
        "neighbours_of_0": list(graph.neighbours(0)),
        "parameters_at_a_tenth_corrupt_and_a_tenth_dropped": found,
    }


def _round() -> dict[str, Any]:
    """Seven participants; the one at position 1 never shares, the one at position 2 never reports."""
    this = Round.of(7)
    this.share(without=[1])
    secrets = {str(p): this.states[p].secrets.model_dump(mode="json") for p in sorted(this.shares)}
    this.report(vector_of, without=[2])
    this.acknowledge()
    this.reveal()
    return {
        "registry_key": public(REGISTRY).hex(),
        "server_key": public(SERVER).hex(),
        "descriptor": this.stated.model_dump(mode="json"),
        "canonical_descriptor": this.stated.canonical_bytes.hex(),
        "round_id": this.rostered.round_id.hex(),
        "roster": this.roster.model_dump(mode="json"),
        "roster_hash": this.rostered.roster_hash.hex(),
        "secrets": secrets,
        "shares": {str(p): shares.model_dump(mode="json") for p, shares in sorted(this.shares.items())},
        "vectors": {str(p): vector_of(p).tolist() for p in sorted(this.bodies)},
        "masked_reports": {str(p): body.hex() for p, body in sorted(this.bodies.items())},
        "survivors": this.survivors.model_dump(mode="json"),
        "acknowledgements": {str(p): ack.model_dump(mode="json") for p, ack in sorted(this.acks.items())},
        "reveals": {str(p): this.states[p].answer.model_dump(mode="json") for p in sorted(this.acks)},
        "sum": sum_of(this.bodies).tolist(),
    }


def main() -> None:
    """Write every file."""
    FOLDER.mkdir(exist_ok=True)
    for name, content in build().items():
        (FOLDER / name).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
