"""Ctrl-C and SIGTERM, raised in this very process."""

from __future__ import annotations

import signal
import threading

import pytest

from fedrec.local.interrupts import orderly_termination


def test_sigterm_runs_the_clean_up_and_keeps_its_exit_status() -> None:
    cleaned_up = []

    def program() -> None:
        with orderly_termination():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                cleaned_up.append(True)

    with pytest.raises(SystemExit) as ended:
        program()
    assert ended.value.code == 128 + signal.SIGTERM
    assert cleaned_up == [True]


def test_a_second_signal_does_not_interrupt_the_clean_up() -> None:
    with orderly_termination() as begin_cleaning_up:
        begin_cleaning_up()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)


def test_the_former_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with orderly_termination() as begin_cleaning_up:
        begin_cleaning_up()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_outside_the_main_thread_nothing_changes() -> None:
    seen = []

    def enter() -> None:
        with orderly_termination() as begin_cleaning_up:
            begin_cleaning_up()
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [before]
