"""Ports that stay reserved for servers of ours."""

from __future__ import annotations

import socket

import pytest

from fedrec.local.ports import PortTaken, ReservedPort


def test_a_port_on_which_somebody_listens_is_refused_by_number() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {number} cannot be used: Address already in use"):
            ReservedPort(number)


def test_two_reserved_ports_differ() -> None:
    ports = [ReservedPort() for _ in range(20)]
    assert len({port.number for port in ports}) == 20
    for port in ports:
        port.release()


@pytest.mark.parametrize("number", [-1, 65536])
def test_a_number_that_is_no_port_is_refused(number: int) -> None:
    with pytest.raises(PortTaken, match=f"port {number} cannot be used: ports are 0 to 65535"):
        ReservedPort(number)
