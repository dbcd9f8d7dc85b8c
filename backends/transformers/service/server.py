"""The engine service: one program for a machine, which owns the engine processes and serves all web processes.

``python -m backends.transformers.service --address unix:/path``, or ``manage.py runengine``. It never imports torch,
and nothing in it waits for an engine or for a web process.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import itertools
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from backends.exceptions import AuthenticationFailed, ChatBackendError, RequestRejected
from backends.transformers.address import ALREADY_RUNNING, Address, TcpAddress, keep_alive, parse_address
from backends.transformers.children import program
from backends.transformers.protocol import decode_line, encode_error, encode_line
from backends.transformers.service.asks import Ask, encode_failure
from backends.transformers.service.fleet import Fleet
from backends.transformers.service.lines import LONGEST_LINE, Lines
from backends.transformers.service.listening import AlreadyRunning, listening_socket

logger = logging.getLogger("backends.transformers.service")  # also where this is the main program

LONGEST_HELLO = 4096
"""Bytes that somebody may send who has not shown the token yet."""

HELLO_SECONDS = 5.0
TOKEN_VARIABLE = "CHAT_ENGINE_TOKEN"  # noqa: S105 - a name
CLOSING_SECONDS = 5.0

ENGINE_COMMAND = tuple(program("backends.transformers.engine"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """What an engine service is started with."""

    address: Address
    token: str = ""
    """What web processes must show over TCP."""
    max_models: int = 3
    """Models that are loaded at once."""
    while_connected: bool = False
    """Whether it ends when no connection has been open for ``linger`` seconds."""
    linger: float = 10.0
    preload: tuple[str, ...] = ()
    """Engines to load at the start, by their options."""
    engine_command: tuple[str, ...] = ENGINE_COMMAND


class Connection(Lines):
    """A web process: what it asks goes to engines, and what they say to it comes back by its number."""

    def __init__(self, service: Service, number: int) -> None:
        super().__init__(self._hear, self._gone)
        self.number = number
        self.last_id = 0
        self._service = service
        self._is_welcome = False
        self._silence: asyncio.TimerHandle | None = None

    def send(self, message: Mapping[str, Any]) -> None:
        self.write(encode_line(message))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if isinstance(self._service.options.address, TcpAddress):
            keep_alive(transport.get_extra_info("socket"))
            self.longest_line = LONGEST_HELLO
            loop = asyncio.get_running_loop()
            self._silence = loop.call_later(HELLO_SECONDS, self._refuse, AuthenticationFailed("There was no hello."))
        else:
            self._welcome()

    def line_too_long(self) -> None:
        self._refuse(RequestRejected("The line is too long."))

    def _hear(self, line: bytes) -> None:
        try:
            message = decode_line(line)
            if self._is_welcome:
                self._service.obey(self, message)
            else:
                self._check_hello(message)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # No more than its kind: the error may quote somebody's prompt, and this goes to the log.
            self._refuse(RequestRejected(f"The engine service does not understand the line: {type(error).__name__}."))

    def _check_hello(self, message: Mapping[str, Any]) -> None:
        token = str(message.get("token", "")) if message.get("op") == "hello" else ""
        if token and hmac.compare_digest(token.encode(), self._service.options.token.encode()):
            self._welcome()
        else:
            self._refuse(
                AuthenticationFailed(
                    "The engine service refused the token.", hint=f"Set {TOKEN_VARIABLE} on both sides."
                )
            )

    def _welcome(self) -> None:
        if self._silence:
            self._silence.cancel()
        self._is_welcome = True
        self.longest_line = LONGEST_LINE
        self._service.add(self)
        self.send({"welcome": {"pid": os.getpid()}})

    def _refuse(self, error: ChatBackendError) -> None:
        logger.warning("Connection %d is refused: %s", self.number, error)
        self.send({"refused": encode_error(error)})
        self.close()

    def _gone(self) -> None:
        if self._silence:
            self._silence.cancel()
        self._service.remove(self)


class Service:
    """Connections on one side, engines on the other. Lives on one event loop, from ``run`` to its end."""

    def __init__(self, options: ServiceOptions) -> None:
        self.options = options
        self._fleet = Fleet(options.engine_command, options.max_models, self._deliver)
        self._connections: dict[int, Connection] = {}
        self._numbers = itertools.count(1)
        self._started_at = time.monotonic()
        self._end = asyncio.Event()
        self._linger_timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, listener: socket.socket) -> None:
        """Serve until ``stop``, or until nobody is connected any more; then end all engines."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(self, next(self._numbers)), sock=listener)
        try:
            self._linger()
            for key in self.options.preload:
                self._fleet.engine(key).ask(Ask(asker=_Nobody(), id=0))
            await self._end.wait()
        finally:
            server.close()
            for connection in list(self._connections.values()):
                connection.abort()
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSING_SECONDS):
                    await self._fleet.close()

    def stop(self) -> None:
        self._end.set()

    def add(self, connection: Connection) -> None:
        self._connections[connection.number] = connection
        if self._linger_timer:
            self._linger_timer.cancel()

    def remove(self, connection: Connection) -> None:
        if self._connections.pop(connection.number, None):
            self._fleet.forget(connection)
            self._linger()

    def obey(self, connection: Connection, message: Mapping[str, Any]) -> None:
        """Do what a web process asks.

        Raises:
            AttributeError, KeyError, TypeError, ValueError: it cannot be understood.
        """
        op, id_ = message["op"], int(message["id"])
        connection.last_id = max(connection.last_id, id_)
        if op == "status":
            self._start(self._describe(connection, id_))
            return
        try:
            engine = self._fleet.engine(message["engine"])
        except ChatBackendError as error:
            connection.send({"errors": [[id_, *encode_failure(error)]]})
            return
        match op:
            case "generate":
                engine.ask(Ask(asker=connection, id=id_, request=message["request"]))
            case "cancel":
                engine.cancel(connection, id_)
            case "load":
                engine.ask(Ask(asker=connection, id=id_))
            case "unload":
                engine.unload(Ask(asker=connection, id=id_))
            case _:
                raise ValueError(op)

    def _deliver(self, number: int, line: bytes) -> None:
        """Pass on what an engine says. All text goes through here, so it is not looked into."""
        if connection := self._connections.get(number):
            connection.write(line + b"\n")

    async def _describe(self, connection: Connection, id_: int) -> None:
        figures = {
            "pid": os.getpid(),
            "uptime": round(time.monotonic() - self._started_at, 1),
            "address": str(self.options.address),
            "max_models": self.options.max_models,
            "connections": len(self._connections),
            "engines": await self._fleet.describe(),
        }
        connection.send({"done": [id_, figures]})

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _linger(self) -> None:
        if self.options.while_connected and not self._connections:
            self._linger_timer = asyncio.get_running_loop().call_later(self.options.linger, self.stop)


class _Nobody:
    """Who asks for the engines that are loaded at the start."""

    number = 0
    last_id = 0

    def send(self, message: Mapping[str, Any]) -> None:
        pass


async def serve(options: ServiceOptions) -> None:
    """Listen and serve until a signal, or until nobody is connected any more.

    Raises:
        AlreadyRunning: another service has the address.
        OSError: the address cannot be had.
        ChatBackendError: TCP without a token, or an engine to preload that is none.
    """
    if isinstance(options.address, TcpAddress) and not options.token:
        raise AuthenticationFailed("An engine service at a TCP address needs a token.", hint=f"Set {TOKEN_VARIABLE}.")
    service = Service(options)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    with listening_socket(options.address) as listener:
        whom = "whoever has the token" if isinstance(options.address, TcpAddress) else "processes of this user"
        logger.info("The engine service listens at %s for %s (process %d)", options.address, whom, os.getpid())
        await service.run(listener)
    logger.info("The engine service has ended")


def main(arguments: Sequence[str] | None = None, *, engine_command: tuple[str, ...] = ENGINE_COMMAND) -> int:
    """Run the service and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m backends.transformers.service", description="The engine service.")
    parser.add_argument("--address", required=True, help="unix:/path or tcp:host:port; TCP needs CHAT_ENGINE_TOKEN")
    parser.add_argument("--max-models", type=int, default=3, help="models that are loaded at once (3)")
    parser.add_argument("--while-connected", action="store_true", help="end when nobody has been connected for a while")
    parser.add_argument("--linger", type=float, default=10.0, help="seconds of that while (10)")
    given = parser.parse_args(arguments)
    logging.basicConfig(
        level=os.environ.get("LOG_LEVEL", "INFO"), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        options = ServiceOptions(
            address=parse_address(given.address),
            token=os.environ.get(TOKEN_VARIABLE, ""),
            max_models=given.max_models,
            while_connected=given.while_connected,
            linger=given.linger,
            engine_command=engine_command,
        )
        asyncio.run(serve(options))
    except AlreadyRunning as error:
        return _complain(error, ALREADY_RUNNING)
    except (ChatBackendError, OSError, ValueError) as error:
        return _complain(error, 1)
    return 0


def _complain(error: Exception, status: int) -> int:
    sys.stderr.write(f"{error}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
