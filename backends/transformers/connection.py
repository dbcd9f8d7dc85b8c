"""A connection of a web process to the engine service, and the threads that talk over it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import IO, Any

from backends.transformers.launch import open_service
from backends.transformers.place import ServicePlace
from backends.transformers.protocol import decode_line

CLOSE_SECONDS = 1.0


class ServiceConnection:
    """A welcomed connection, from its making, which blocks, to its end.

    ``on_message(message)`` and ``on_close(connection)`` are called from a thread of this object; ``on_close`` exactly
    once, after the last message.

    Raises:
        ChatBackendError: see ``open_service``.
    """

    def __init__(
        self,
        place: ServicePlace,
        on_message: Callable[[dict[str, Any]], None],
        on_close: Callable[[ServiceConnection], None],
    ) -> None:
        self._socket, self._lines = open_service(place)
        self._on_message = on_message
        self._on_close = on_close
        self._outbox: SimpleQueue[bytes | None] = SimpleQueue()
        # Writing has a thread too: a service that does not read must not stop an event loop.
        self._writer = threading.Thread(target=self._write, name="engine-service-writer", daemon=True)
        self._reader = threading.Thread(target=self._read, name="engine-service-reader", daemon=True)

    def start(self) -> None:
        """Begin to read and write."""
        self._writer.start()
        self._reader.start()

    def send(self, line: bytes) -> None:
        """Queue a line; from any thread. Lost without a word if the connection has ended: ``on_close`` tells."""
        self._outbox.put(line)

    def close(self) -> None:
        """End the connection and wait until its threads are gone; what was queued is sent if anybody reads."""
        self._outbox.put(None)
        self._reader.join(CLOSE_SECONDS)
        if self._reader.is_alive():
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._reader.join()

    def drop_after_fork(self) -> None:
        """Leave the connection to the process that made it: close our copy of its socket and nothing else."""
        os.close(self._socket.detach())

    def _read(self) -> None:
        try:
            for line in self._lines:
                self._on_message(decode_line(line))
        except OSError:
            pass  # reset by the service's end; a broken line (ValueError) is a bug and may be seen
        finally:
            self._outbox.put(None)
            self._writer.join()
            _close(self._lines, self._socket)
            self._on_close(self)

    def _write(self) -> None:
        with suppress(OSError):  # the reader hears of it as well
            while line := self._outbox.get():
                self._socket.sendall(line)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


def _close(lines: IO[bytes], connection: socket.socket) -> None:
    lines.close()
    connection.close()
