"""An engine process, as the engine service has it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from backends.transformers.children import environment
from backends.transformers.protocol import encode_line
from backends.transformers.service.lines import Lines

logger = logging.getLogger(__name__)

STDERR_LINES = 20
"""How much of what the process complained about is kept for an error message."""

MOST_UNREAD = 256 * 2**20
"""Bytes that an engine may leave unread: long prompts of many people, while it starts."""

LAST_WORDS_SECONDS = 1.0
"""How long a process that has closed its socket may take to be gone; a child of its own could keep its pipe open."""


class EngineProcess:
    """One engine process, from its start to its end.

    ``on_line`` gets each line that it says; ``on_exit(process)`` is called once, after the last line, when it is gone.
    Nothing here blocks. The process ends when this one does, even at kill -9: its socket ends then.
    """

    def __init__(
        self, command: Sequence[str], on_line: Callable[[bytes], None], on_exit: Callable[[EngineProcess], None]
    ) -> None:
        self._command = command
        self._on_exit = on_exit
        self._complaints: deque[str] = deque(maxlen=STDERR_LINES)
        self._closed = asyncio.Event()
        self._lines = Lines(on_line, self._closed.set)
        self._lines.most_unread = MOST_UNREAD
        self._process: asyncio.subprocess.Process | None = None
        self._start_error = ""
        self._is_killed = False
        self._task = asyncio.create_task(self._run())

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def resident_bytes(self) -> int | None:
        """Return how much of the machine's memory it has, where the system tells."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        except OSError:
            return None
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; lost without a word if the process has ended: ``on_exit`` tells."""
        self._lines.write(encode_line(message))

    def kill(self) -> None:
        """Make the process end now; ``on_exit`` follows. It holds nothing that would need a gentler way."""
        self._is_killed = True
        if self._process and self._process.returncode is None:
            # asyncio's own kill() looks first whether the process has ended, which takes the exit status away from
            # the thread that waits for it.
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    def describe_end(self) -> str:
        """Return how the process ended and the last thing it complained about."""
        if self._start_error:
            return f"could not be started: {self._start_error}"
        code = self._process.returncode if self._process else None
        how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with exit status {code}"
        last = next((line for line in reversed(self._complaints) if line.strip()), "")
        return f"{how}: {last[:300]}" if last else how

    async def _run(self) -> None:
        try:
            await self._start()
        except OSError as error:
            self._start_error = str(error)
        else:
            await self._wait()
        finally:
            self._on_exit(self)

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    str(theirs.fileno()),
                    pass_fds=[theirs.fileno()],
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                    env=environment(),
                )
            await asyncio.get_running_loop().create_connection(lambda: self._lines, sock=ours)
        except BaseException:
            ours.close()
            raise
        if self._is_killed:
            self.kill()

    async def _wait(self) -> None:
        assert self._process is not None
        end = [asyncio.create_task(self._listen()), asyncio.create_task(self._process.wait())]
        # The socket ends with the process, whatever becomes of its pipes.
        await self._closed.wait()
        if not self._is_killed:
            # One that ends by itself has an exit status to tell.
            await asyncio.wait(end, timeout=LAST_WORDS_SECONDS)
            self.kill()
        await asyncio.wait(end, timeout=LAST_WORDS_SECONDS)
        for task in end:
            task.cancel()

    async def _listen(self) -> None:
        assert self._process is not None
        complaints = self._process.stdout
        assert complaints is not None
        rest = b""
        while data := await complaints.read(2**16):
            *lines, rest = (rest + data).split(b"\n")
            self._note(*lines)
            rest = rest[-(2**16) :]
        self._note(rest)

    def _note(self, *lines: bytes) -> None:
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            if text:
                self._complaints.append(text)
                logger.debug("engine process %s: %s", self.pid, text)
