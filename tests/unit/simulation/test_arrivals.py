"""Who is asked, who is there, and whose report is in time."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fedrec.refused import Refused
from fedrec_protocol.manifest import RoundPolicy
from simulation.arrivals import arrivals
from simulation.availability import AvailabilityTrace, DailyCycle
from simulation.devices import NEVER, Dropouts, HeterogeneousDevices, IdealDevices, Load

HOUR = 3600.0


class Stopwatch:
    """Devices that take exactly these times."""

    def __init__(self, *seconds: float) -> None:
        self._seconds: NDArray[np.float64] = np.array(seconds)

    def seconds(self, round_number: int, people: NDArray[np.int64], load: Load) -> NDArray[np.float64]:
        return self._seconds[people]


def load(people: int, examples: int = 1) -> Load:
    return Load(np.full(people, examples), download_bytes=1_000_000, upload_bytes=1_000_000)


def test_the_first_reports_up_to_the_goal_count_and_the_last_of_them_closes_the_round() -> None:
    policy = RoundPolicy(aggregation_goal=2, over_selection_factor=2.0, deadline_seconds=100)
    arrived = arrivals([0, 1, 2, 3], policy, Stopwatch(40, 10, NEVER, 20), 1, load(4))
    assert arrived.in_time == [1, 3]
    assert (arrived.dropped, arrived.late, arrived.seconds) == (1, 1, 20.0)


def test_a_straggler_after_the_deadline_or_after_its_own_time_is_too_late() -> None:
    policy = RoundPolicy(aggregation_goal=3, deadline_seconds=100)
    assert arrivals([0, 1, 2], policy, Stopwatch(40, 100, 101), 1, load(3)).in_time == [0, 1]
    own = policy.model_copy(update={"report_timeout_seconds": 50.0})
    arrived = arrivals([0, 1, 2], own, Stopwatch(40, 100, 101), 1, load(3))
    assert (arrived.in_time, arrived.late, arrived.seconds) == ([0], 2, 100.0)


def test_slow_devices_are_the_same_people_in_every_round_and_more_work_takes_longer() -> None:
    devices = HeterogeneousDevices(500, seed=1)
    people = np.arange(500)
    first = devices.seconds(1, people, load(500, examples=50))
    np.testing.assert_array_equal(first, devices.seconds(2, people, load(500, examples=50)))
    assert (devices.seconds(1, people, load(500, examples=100)) > first).all()


def test_the_median_device_takes_as_long_as_its_rates_say() -> None:
    devices = HeterogeneousDevices(
        1, seed=1, spread=0.0, examples_per_second=50.0, download_rate=2e6, upload_rate=0.5e6
    )
    assert devices.seconds(1, np.array([0]), load(1, examples=100)) == pytest.approx(0.5 + 2.0 + 2.0)


def test_the_95th_percentile_of_speed_is_five_times_the_median_at_a_spread_of_one() -> None:
    training_only = Load(np.ones(20_000, np.int64), download_bytes=0, upload_bytes=0)
    devices = HeterogeneousDevices(20_000, seed=1, spread=1.0, examples_per_second=1.0)
    speed = 1.0 / devices.seconds(1, np.arange(20_000), training_only)
    assert np.quantile(speed, 0.95) == pytest.approx(np.exp(1.6449), rel=0.05)  # 1.6449: the normal quantile


def test_dropouts_fall_silent_with_the_stated_probability_and_differ_between_rounds() -> None:
    devices = Dropouts(IdealDevices(), probability=0.2, seed=3)
    silent = [devices.seconds(number, np.arange(5_000), load(5_000)) == NEVER for number in (1, 2)]
    standard_error = (0.2 * 0.8 / 5_000) ** 0.5
    assert silent[0].mean() == pytest.approx(0.2, abs=4 * standard_error)
    assert (silent[0] & silent[1]).mean() == pytest.approx(0.04, abs=4 * standard_error)


def test_whether_somebody_drops_out_does_not_depend_on_who_else_was_asked() -> None:
    devices = Dropouts(IdealDevices(), probability=0.5, seed=3)
    everybody = devices.seconds(1, np.arange(100), load(100))
    np.testing.assert_array_equal(devices.seconds(1, np.array([70, 3, 20]), load(3)), everybody[[70, 3, 20]])


def test_a_daily_window_of_six_hours_has_a_quarter_of_the_people_at_any_time_if_their_hours_are_spread() -> None:
    cycle = DailyCycle(20_000, seed=1, hours=6, spread_hours=1_000)
    for hour in (0, 9, 31):
        assert cycle.available(np.arange(20_000), hour * HOUR).mean() == pytest.approx(0.25, abs=0.015)


def test_a_daily_window_closes_and_opens_again_a_day_later() -> None:
    cycle = DailyCycle(1, seed=1, hours=8, spread_hours=0)
    assert [bool(cycle.available(np.array([0]), hour * HOUR)[0]) for hour in (0, 3, 5, 12, 23, 24, 29)] == [
        *(True, True, False, False),
        *(True, True, False),
    ]


def test_a_trace_is_read_from_a_file_and_begins_again_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("person,start,end\n0,0,10\n1,5,20\n")
    trace = AvailabilityTrace.read(path)
    people = np.array([0, 1, 2])
    assert trace.available(people, 4).tolist() == [True, False, False]
    assert trace.available(people, 12).tolist() == [False, True, False]
    assert trace.available(people, 24).tolist() == [True, False, False]


def test_an_interval_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(Refused, match="end after they begin"):
        AvailabilityTrace(np.array([0]), np.array([10.0]), np.array([5.0]))
