"""Reaching the engine service, and starting one where nobody listens. All of this blocks: call it from a thread."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from typing import IO

from backends.exceptions import BackendMisconfigured, BackendTimeout, BackendUnavailable
from backends.transformers.address import ALREADY_RUNNING, Address, TcpAddress, UnixAddress, keep_alive, parse_address
from backends.transformers.children import environment, program
from backends.transformers.place import ServicePlace
from backends.transformers.protocol import decode_error, decode_line, encode_line

CONNECT_SECONDS = 5.0
START_SECONDS = 20.0
"""How long a service that we start may take until it listens; Python's start on a busy machine."""

LARGEST_LOG = 2**20
RUN_HINT = "Run: python manage.py runengine --address {}"


class NoService(BackendUnavailable):
    """No engine service listens, and none could or may be started."""


class NobodyListens(Exception):
    """There is no service at the address."""


def open_service(place: ServicePlace) -> tuple[socket.socket, IO[bytes]]:
    """Return a connection that the service has welcomed, and its lines; start the service if we may.

    Raises:
        BackendMisconfigured: the address is none, or our token was refused.
        NoService: no service listens, and none could or may be started.
        BackendTimeout: it does not answer.
    """
    try:
        address = parse_address(place.address)
    except ValueError as error:
        raise BackendMisconfigured(str(error), hint="Correct CHAT_ENGINE_ADDRESS.") from error
    try:
        return _connect(address, place.token)
    except NobodyListens as error:
        if isinstance(address, TcpAddress) or not place.may_start:
            raise _no_service(address, str(error)) from error
    return _start_and_connect(address, place)


def service_command(address: UnixAddress, place: ServicePlace) -> list[str]:
    """Return the command of a service that ends when the last web process is gone."""
    options = ["--address", str(address), "--while-connected", "--max-models", str(place.max_models)]
    return program("backends.transformers.service", *options)


def _start_and_connect(address: UnixAddress, place: ServicePlace) -> tuple[socket.socket, IO[bytes]]:
    deadline = time.monotonic() + START_SECONDS
    service = _start(address, place)
    while time.monotonic() < deadline:
        time.sleep(0.02)
        try:
            return _connect(address, place.token)
        except NobodyListens as error:
            status = service.poll()
            if status == ALREADY_RUNNING:
                # Another process was quicker, and its service will listen soon; or an old one is about to end.
                time.sleep(0.1)
                service = _start(address, place)
            elif status is not None:
                said = _last_line(address) or f"exit status {status}"
                raise _no_service(address, f"The one that was started ended: {said}") from error
    raise BackendTimeout(
        f"The engine service at {address} did not listen after {START_SECONDS:g} seconds.",
        hint=RUN_HINT.format(address),
    )


def _connect(address: Address, token: str) -> tuple[socket.socket, IO[bytes]]:
    connection = _open_socket(address)
    lines = connection.makefile("rb")
    try:
        if isinstance(address, TcpAddress):
            connection.sendall(encode_line({"op": "hello", "token": token}))
        answer = lines.readline()
        if not answer:
            raise NobodyListens(f"The engine service at {address} is about to end.")
        match decode_line(answer):
            case {"welcome": _}:
                connection.settimeout(None)
                return connection, lines
            case {"refused": error}:
                raise decode_error(*error)
            case _:
                raise BackendMisconfigured(f"What listens at {address} is no engine service.")
    except BaseException as error:
        lines.close()
        connection.close()
        if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
            raise BackendMisconfigured(f"What listens at {address} is no engine service.") from error
        if isinstance(error, TimeoutError):
            raise BackendTimeout(f"The engine service at {address} does not answer.") from error
        if isinstance(error, OSError):
            raise NobodyListens(f"The engine service at {address} went away: {error}") from error
        raise


def _open_socket(address: Address) -> socket.socket:
    if isinstance(address, TcpAddress):
        try:
            connection = socket.create_connection((address.host, address.port), timeout=CONNECT_SECONDS)
        except OSError as error:
            raise NobodyListens(f"Nobody answers at {address}: {error}") from error
        keep_alive(connection)
        return connection
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(CONNECT_SECONDS)
    try:
        connection.connect(str(address.path))
    except OSError as error:
        connection.close()
        if isinstance(error, PermissionError):
            raise BackendMisconfigured(f"The engine service at {address} is another user's.") from error
        raise NobodyListens(f"No engine service listens at {address}: {error}") from error
    return connection


def _start(address: UnixAddress, place: ServicePlace) -> subprocess.Popen[bytes]:
    """Start a service that our own end, or a Ctrl-C in our terminal, does not end; what it says goes to its log."""
    address.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = os.open(address.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        if os.fstat(log).st_size > LARGEST_LOG:
            os.ftruncate(log, 0)
        service = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            service_command(address, place),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=environment(),
        )
    except OSError as error:
        raise _no_service(address, f"It could not be started: {error}") from error
    finally:
        os.close(log)
    # Whoever starts a process must wait for it, or a dead entry stays in the system's table.
    threading.Thread(target=service.wait, name="engine-service-end", daemon=True).start()
    return service


def _last_line(address: UnixAddress) -> str:
    try:
        lines = address.log_path.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:300] if lines else ""


def _no_service(address: Address, why: str) -> NoService:
    return NoService(f"The engine service cannot be reached. {why}", hint=RUN_HINT.format(address))
