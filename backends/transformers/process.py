"""An engine process and the threads that talk with it."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

from backends.exceptions import ChatBackendError
from backends.transformers.protocol import EngineOptions, decode_line, encode_line, encode_options

STDERR_LINES = 20
"""How much of what the process complained about is kept for an error message."""


class EngineProcess:
    """One engine process, from its start to its end.

    ``on_message(process, message)`` and ``on_exit(process)`` are called from a thread of this object; ``on_exit``
    exactly once, after the last message, when the process has been waited for. Nothing here blocks but ``stop``. The
    process ends when this one does, even at kill -9: its socket ends then.

    Raises:
        OSError: no process could be started.
    """

    def __init__(
        self,
        options: EngineOptions,
        on_message: Callable[[EngineProcess, dict[str, Any]], None],
        on_exit: Callable[[EngineProcess], None],
    ) -> None:
        self.started_at = time.monotonic()
        self.is_ready = False
        """Whether the model is loaded; set by the owner, who reads the messages."""
        self.failure: ChatBackendError | None = None
        """Why the process is about to end, where the owner knows better than the exit status does."""
        self._on_message = on_message
        self._on_exit = on_exit
        self._outbox: SimpleQueue[bytes | None] = SimpleQueue()
        self._complaints: deque[str] = deque(maxlen=STDERR_LINES)
        self._socket, theirs = socket.socketpair()
        try:
            self._process = _start(options, theirs)
        except OSError:
            self._socket.close()
            raise
        finally:
            theirs.close()
        atexit.register(self.stop)
        # Writing has a thread too: a process that does not read must not stop an event loop.
        self._writer = self._start_thread(self._write)
        self._listener = self._start_thread(self._listen)
        self._reader = self._start_thread(self._read)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, message: Mapping[str, Any]) -> None:
        """Queue a message; from any thread. Lost without a word if the process has ended: ``on_exit`` tells."""
        self._outbox.put(encode_line(message))

    def kill(self) -> None:
        """Make the process end now; ``on_exit`` follows. It holds nothing that would need a gentler way."""
        self._process.kill()

    def stop(self) -> None:
        """End the process and wait until it and its threads are gone."""
        self.kill()
        self._reader.join()

    def describe_end(self) -> str:
        """Return how the process ended and the last thing it complained about."""
        code = self._process.returncode
        how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with exit status {code}"
        last = next((line for line in reversed(self._complaints) if line.strip()), "")
        return f"{how}: {last[:300]}" if last else how

    def _start_thread(self, target: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=target, name=f"engine-{self.pid}{target.__name__}", daemon=True)
        thread.start()
        return thread

    def _read(self) -> None:
        try:
            with self._socket.makefile("rb") as lines:
                for line in lines:
                    self._on_message(self, decode_line(line))
        except OSError:
            pass  # reset by the process's end; a broken line (ValueError) is a bug and may be seen
        finally:
            self._clean_up()
            self._on_exit(self)

    def _clean_up(self) -> None:
        self.kill()
        self._process.wait()
        self._outbox.put(None)
        self._socket.shutdown(socket.SHUT_RDWR)
        self._writer.join()
        self._listener.join()
        self._socket.close()
        atexit.unregister(self.stop)

    def _write(self) -> None:
        while line := self._outbox.get():
            try:
                self._socket.sendall(line)
            except OSError:
                return  # the reader hears of it as well

    def _listen(self) -> None:
        complaints: IO[bytes] | None = self._process.stdout
        assert complaints is not None
        with complaints:
            for line in complaints:
                self._complaints.append(line.decode(errors="replace").rstrip())


def _start(options: EngineOptions, theirs: socket.socket) -> subprocess.Popen[bytes]:
    # Found wherever we were found, whatever the current folder is; and nothing else is imported from that folder (-P).
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", "backends.transformers.engine", encode_options(options), str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": path},
    )
