"""Where an engine service listens: ``unix:/path`` or ``tcp:host:port``."""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass
from pathlib import Path

LONGEST_PATH = 103 if sys.platform == "darwin" else 107
"""Bytes that the system has for the path of a socket."""


ALREADY_RUNNING = 3
"""A service's exit status where another one has the address."""


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket file of this machine, for processes of one user."""

    path: Path

    @property
    def lock_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.lock")

    @property
    def log_path(self) -> Path:
        """Where a service that a web process started says what it has to say."""
        return self.path.with_name(f"{self.path.name}.log")

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A port, perhaps of another machine; whoever asks there shows a token."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"tcp:[{self.host}]:{self.port}" if ":" in self.host else f"tcp:{self.host}:{self.port}"


Address = UnixAddress | TcpAddress


class PathTooLong(ValueError):
    """The path of a socket has more bytes than the system takes."""


def parse_address(text: str) -> Address:
    """Return the address; a relative path is one of the current folder.

    Raises:
        PathTooLong: the path is too long for a socket.
        ValueError: this is no address.
    """
    kind, _, rest = text.partition(":")
    if kind == "unix" and rest:
        path = Path(rest).expanduser().absolute()
        if len(bytes(path)) > LONGEST_PATH:
            raise PathTooLong(f"The socket path {path} has {len(bytes(path))} bytes; {LONGEST_PATH} are the most.")
        return UnixAddress(path)
    host, _, port = rest.rpartition(":")
    if kind == "tcp" and host and port.isascii() and port.isdigit() and int(port) < 2**16:
        return TcpAddress(host.removeprefix("[").removesuffix("]"), int(port))
    raise ValueError(f"{text!r} is no address of an engine service: unix:/path or tcp:host:port.")


def keep_alive(connection: socket.socket) -> None:
    """Notice within a minute that a machine at the other end is gone without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3), ("TCP_NODELAY", 1)):
        if option := getattr(socket, name, None):  # not every system has all of them
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
