"""Privacy: masks against raw AES, secure aggregation's CPU and bytes on either side, noise against a round."""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from benchmarks.harness.deployment import Deployment, deployment
from benchmarks.harness.encrypted_sum import measure_encryption
from benchmarks.harness.measurement import AtLeast, AtMost, Measurement
from benchmarks.harness.secagg_cohort import Outcome, run_round
from benchmarks.rounds import time_rounds
from fedrec_protocol.encrypted.parameters import Scheme
from fedrec_protocol.noise.discrete_gaussian import discrete_gaussian
from fedrec_protocol.noise.random_bits import RandomBits
from fedrec_protocol.privacy import CentralPrivacy
from fedrec_protocol.secagg.masks import Mask, apply_masks, keystream
from fedrec_protocol.secagg.ring_parameters import ring_parameters

_MILLION = 1_000_000
_TENTH = Fraction(1, 10)
_PIECE = 256 * 1024
_TURNS = 5


def measure() -> Iterator[Measurement]:
    """CPU time of this process throughout; ratios are medians over neighbouring runs."""
    ratio, rate = _mask_ratio()
    yield Measurement(
        "masks expanded and added ÷ raw AES-256-CTR", ratio, "", AtLeast(0.7), f"{rate:.1f} GB/s of keystream"
    )
    small = run_round(100, _MILLION, 10)
    yield from _complete_graph(small)
    yield _ring()
    yield _noise(small)
    yield from _private_rounds()
    yield from _homomorphic(small)


def _complete_graph(outcome: Outcome) -> Iterator[Measurement]:
    what = "1M parameters, 100 participants, 10 dropped"
    exact = "sum exact" if outcome.is_exact else "SUM WRONG"
    milliseconds = 1000 * statistics.median(outcome.participant_seconds)
    yield Measurement(f"participant, {what}", milliseconds, "ms CPU", AtMost(150), "median of 90, all phases")
    yield Measurement(f"server, {what}", outcome.server_seconds, "s CPU", AtMost(2.0), exact)
    kilobytes = max(outcome.handshake_bytes) / 1000
    ratio = outcome.vector_bytes / (4 * _MILLION)
    yield Measurement("masked vector at 24 bits ÷ float32", ratio, "", AtMost(0.8), f"{outcome.vector_bytes} bytes")
    remark = "all messages as JSON, largest of 90"
    yield Measurement(f"upload besides the vector, {what}", kilobytes, "kB", AtMost(25), remark)


def _ring() -> Measurement:
    ring = ring_parameters(1000, corrupt=_TENTH, dropouts=_TENTH)
    outcome = run_round(1000, 50_000, 100, ring=ring)
    remark = f"k={ring.degree}, t={ring.threshold}; 1 is an exact sum, server {outcome.server_seconds:.1f} s CPU"
    return Measurement("ring of 1000, 100 dropped, 50k parameters", float(outcome.is_exact), "", AtLeast(1), remark)


def _noise(outcome: Outcome) -> Measurement:
    bits = RandomBits.from_operating_system()
    seconds = statistics.median(_cpu(lambda: discrete_gaussian(2**30, _MILLION, bits)) for _ in range(9))
    remark = f"{1000 * seconds:.0f} ms CPU for 1M coordinates"
    return Measurement(
        "discrete Gaussian ÷ server's round of 100", seconds / outcome.server_seconds, "", AtMost(0.2), remark
    )


def _private_rounds() -> Iterator[Measurement]:
    """Noise, ledger and statement against the same rounds without them, over HTTP."""
    privacy = CentralPrivacy(noise_multiplier=1.0, budget_epsilon=1000.0, target_delta=1e-6)
    with deployment() as running:
        time_rounds(running, 4000, privacy=privacy)  # the accountant is loaded on first use
        for participants, mark in ((10, None), (40, AtMost(1.2))):
            plain, private = zip(*(_pair(running, participants, privacy, turn) for turn in range(_TURNS)), strict=True)
            what = f"server's round with privacy ÷ plain, {participants} participants, 1M parameters"
            ratios = [after / before for before, after in zip(plain, private, strict=True)]
            seconds = f"{statistics.median(private):.2f} against {statistics.median(plain):.2f} s CPU"
            remark = f"median of {', '.join(f'{ratio:.2f}' for ratio in ratios)}; {seconds} of services and database"
            yield Measurement(what, statistics.median(ratios), "", mark, remark)


def _pair(running: Deployment, participants: int, privacy: CentralPrivacy, turn: int) -> tuple[float, float]:
    """A plain round and a private one, as neighbours; the order changes from turn to turn."""
    promises = (None, privacy) if turn % 2 == 0 else (privacy, None)
    first, second = (_server_seconds(running, participants, promise, turn) for promise in promises)
    return (first, second) if turn % 2 == 0 else (second, first)


def _server_seconds(running: Deployment, participants: int, privacy: CentralPrivacy | None, turn: int) -> float:
    """CPU time that a round takes of everything but the participants."""
    _, used = time_rounds(running, 4 * _MILLION, participants=participants, privacy=privacy, turn=turn)
    return sum(seconds for name, seconds in used.items() if name != "participants")


def _homomorphic(masks: Outcome) -> Iterator[Measurement]:
    """What encrypted reports cost beside masked ones, for the same sum of 1M parameters between ten silos."""
    for scheme in Scheme:
        costs = measure_encryption(_MILLION, 10, scheme)
        name, exact = scheme.upper(), "sum exact" if costs.is_exact else "SUM WRONG"
        times = costs.upload_bytes / masks.vector_bytes
        remark = f"{costs.upload_bytes / 1e6:.1f} MB; {times:.1f} times a masked vector; {exact}"
        yield Measurement(
            f"{name} upload ÷ float32, 1M parameters", costs.upload_bytes / (4 * _MILLION), "", remark=remark
        )
        remark = f"{costs.add_seconds:.3f} against {masks.fold_seconds:.4f} s CPU"
        ratio = costs.add_seconds / masks.fold_seconds
        yield Measurement(f"{name} ÷ masks: server reads and adds one upload", ratio, "", remark=remark)
        silo = costs.encrypt_seconds + costs.decrypt_seconds
        remark = f"encrypt {1000 * costs.encrypt_seconds:.0f}, check and decrypt {1000 * costs.decrypt_seconds:.0f}"
        yield Measurement(f"{name}, one silo, 1M parameters", 1000 * silo, "ms CPU", remark=remark)


def _mask_ratio() -> tuple[float, float]:
    """Rate of mask expansion plus addition divided by that of the bare cipher, and the former in GB/s."""
    vector = np.zeros(_MILLION, np.uint32)
    masks = [Mask(os.urandom(32), is_added=index % 2 == 0) for index in range(20)]
    zeros, scratch = bytes(_PIECE), bytearray(_PIECE + 15)
    pieces = len(masks) * vector.nbytes // _PIECE

    def expand() -> None:
        stream = keystream(masks[0].key)
        for _ in range(pieces):
            stream.update_into(zeros, scratch)

    ratios, seconds = [], []
    for _ in range(25):
        raw, masked = _cpu(expand), _cpu(lambda: apply_masks(vector, masks))
        ratios.append(raw / masked)
        seconds.append(masked)
    return statistics.median(ratios), len(masks) * vector.nbytes / statistics.median(seconds) / 1e9


def _cpu(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started
