"""Sockets that an engine service listens on, one service for an address."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from backends.transformers.address import Address, TcpAddress, UnixAddress

BACKLOG = 100


class AlreadyRunning(Exception):
    """Another engine service has this address."""


@contextmanager
def listening_socket(address: Address) -> Iterator[socket.socket]:
    """Bind the address for as long as the block runs.

    Raises:
        AlreadyRunning: another service has it.
        OSError: it cannot be had.
    """
    with _tcp_socket(address) if isinstance(address, TcpAddress) else _unix_socket(address) as listener:
        yield listener


@contextmanager
def _tcp_socket(address: TcpAddress) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AlreadyRunning(f"Something listens at {address} already.") from error
        raise
    with listener:
        yield listener


@contextmanager
def _unix_socket(address: UnixAddress) -> Iterator[socket.socket]:
    address.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _lock(address), socket.socket(socket.AF_UNIX) as listener:
        # We have the lock, so that a file from before is a dead service's.
        address.path.unlink(missing_ok=True)
        umask = os.umask(0o177)
        try:
            listener.bind(str(address.path))
        finally:
            os.umask(umask)
        listener.listen(BACKLOG)
        try:
            yield listener
        finally:
            address.path.unlink(missing_ok=True)


@contextmanager
def _lock(address: UnixAddress) -> Iterator[None]:
    """Hold the lock, our process id in it. Its file stays: to remove it would let two services hold one each."""
    descriptor = os.open(address.lock_path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            raise AlreadyRunning(f"An engine service has {address} already: process {pid}.") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)
