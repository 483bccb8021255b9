"""Tests use no network, and the guard that says so works."""

import socket

import pytest


@pytest.mark.parametrize("host", ["192.0.2.1", "example.invalid"])
def test_the_world_cannot_be_reached(host: str) -> None:
    with pytest.raises(RuntimeError, match="tests use no network"):
        socket.create_connection((host, 80), timeout=1)
    with socket.socket() as one, pytest.raises(RuntimeError, match="tests use no network"):
        one.connect((host, 80))


def test_loopback_can_be_reached() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as one,
    ):
        other, _ = server.accept()
        with other:
            one.sendall(b"x")
            assert other.recv(1) == b"x"
