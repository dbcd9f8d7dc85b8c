"""The web process's side of an engine process: starts it when it is needed, and again when it broke."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Literal

from backends.base import Finish, Stage, StreamEvent, TextDelta, Usage
from backends.exceptions import BackendTimeout, BackendUnavailable, ChatBackendError, StreamInterrupted
from backends.transformers.process import EngineProcess
from backends.transformers.protocol import EngineOptions, GenerateRequest, decode_error, encode_request
from backends.transformers.restarts import Restarts

EngineState = Literal["absent", "loading", "ready", "failed"]


class Mailbox:
    """Where the events of one request arrive, on the event loop that asked."""

    def __init__(self, process: EngineProcess) -> None:
        self.process = process
        self.loop = asyncio.get_running_loop()
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.is_over = False


class EngineClient:
    """One engine process at most, shared by all streams of this process, on whichever event loops and threads they run.

    The reader thread of the process hands each message to the event loops that wait for a part of it, once per loop.
    """

    def __init__(self, options: EngineOptions, *, load_timeout: float, idle_unload: float | None = None) -> None:
        self._options = options
        self._load_timeout = load_timeout
        self._idle_unload = idle_unload
        self._lock = threading.RLock()
        self._process: EngineProcess | None = None
        self._restarts = Restarts()
        self._mailboxes: dict[int, Mailbox] = {}
        self._ids = itertools.count(1)
        self._idle_timer: threading.Timer | None = None

    @property
    def state(self) -> EngineState:
        with self._lock:
            if self._process:
                return "ready" if self._process.is_ready else "loading"
            return "failed" if self._restarts.error else "absent"

    @property
    def pid(self) -> int | None:
        """The engine process, while there is one."""
        with self._lock:
            return self._process.pid if self._process else None

    async def stream(self, request: GenerateRequest) -> AsyncGenerator[StreamEvent]:
        """Yield the events of one answer; closing the generator ends the work at the engine's next step.

        Raises:
            ChatBackendError: the engine could not be started, refused the request, or ended.
        """
        async with self._ask("generate", request=encode_request(request)) as mailbox:
            if not mailbox.process.is_ready:
                yield Stage("loading")
            while not mailbox.is_over:
                event = await self._next(mailbox)
                mailbox.is_over = isinstance(event, Finish)
                if mailbox.is_over:
                    self._restarts.succeeded()
                yield event

    async def status(self) -> dict[str, Any]:
        """Return the state and, of an engine that runs, its figures (``active``, ``waiting``, ``device``, …)."""
        state = self.state
        if state != "ready":
            return {"state": state}
        async with self._ask("status") as mailbox:
            figures: dict[str, Any] = await self._next(mailbox)
            mailbox.is_over = True
        return {"state": state, **figures}

    def stop(self) -> None:
        """End the engine process and wait until it is gone; the next request starts another one."""
        with self._lock:
            process = self._process
            self._restarts = Restarts()
            if self._idle_timer:
                self._idle_timer.cancel()
            if process:
                self._retire(process, StreamInterrupted("The engine was stopped."))
        if process:
            process.stop()

    @asynccontextmanager
    async def _ask(self, op: str, **fields: Any) -> AsyncGenerator[Mailbox]:
        """Send a request and keep its mailbox; tell the engine when nobody wants the answer any more."""
        with self._lock:
            id_ = next(self._ids)
            mailbox = self._mailboxes[id_] = Mailbox(self._process or self._start())
            if self._idle_timer:
                self._idle_timer.cancel()
            mailbox.process.send({"op": op, "id": id_, **fields})
        try:
            yield mailbox
        finally:
            with self._lock:
                self._mailboxes.pop(id_, None)
                if not mailbox.is_over:
                    mailbox.process.send({"op": "cancel", "id": id_})
                if not self._mailboxes and self._idle_unload is not None:
                    self._start_idle_timer(self._idle_unload)

    def _start(self) -> EngineProcess:
        self._restarts.check()
        try:
            # Takes some 2 ms, once; Linux starts it without copying this process.
            process = EngineProcess(self._options, self._on_message, self._on_exit)
        except OSError as error:
            raise BackendUnavailable(f"No engine process could be started: {error}") from error
        self._process = process
        return process

    def _retire(self, process: EngineProcess, error: ChatBackendError) -> None:
        """End a process; its streams hear this error, and the next request starts another one."""
        process.failure = process.failure or error
        process.kill()
        if self._process is process:
            self._process = None

    async def _next(self, mailbox: Mailbox) -> Any:
        try:
            async with asyncio.timeout(self._time_to_load(mailbox.process)):
                item = await mailbox.queue.get()
        except TimeoutError:
            self._give_up_loading(mailbox.process)
            item = await mailbox.queue.get()
        if isinstance(item, ChatBackendError):
            mailbox.is_over = True
            raise item
        return item

    def _time_to_load(self, process: EngineProcess) -> float | None:
        return None if process.is_ready else process.started_at + self._load_timeout - time.monotonic()

    def _give_up_loading(self, process: EngineProcess) -> None:
        with self._lock:
            if not process.is_ready and not process.failure:
                error = BackendTimeout(
                    f"The model {self._options.model!r} was not loaded after {self._load_timeout:g} seconds.",
                    hint="Raise the backend option 'load_timeout'.",
                )
                self._restarts.load_failed(error)
                self._retire(process, error)

    def _start_idle_timer(self, seconds: float) -> None:
        def unload() -> None:
            with self._lock:
                if not self._mailboxes and self._process:
                    self._retire(self._process, StreamInterrupted("The engine was idle."))

        self._idle_timer = threading.Timer(seconds, unload)
        self._idle_timer.daemon = True
        self._idle_timer.start()

    def _on_message(self, process: EngineProcess, message: dict[str, Any]) -> None:
        if message.get("state") == "ready":
            process.is_ready = True
        elif message.get("state") == "failed":
            with self._lock:
                error = decode_error(*message["error"])
                self._restarts.load_failed(error)
                self._retire(process, error)
        elif "status" in message:
            self._deliver([tuple(message["status"])])
        else:
            self._deliver(_items(message))

    def _on_exit(self, process: EngineProcess) -> None:
        with self._lock:
            error = process.failure
            if not error and process.is_ready:
                error = StreamInterrupted(f"The engine process {process.describe_end()}")
                self._restarts.crashed(error)
            elif not error:
                error = BackendUnavailable(f"The engine process {process.describe_end()}, while it loaded the model")
                self._restarts.load_failed(error)
            if self._process is process:
                self._process = None
            self._deliver([(id_, error) for id_, mailbox in self._mailboxes.items() if mailbox.process is process])

    def _deliver(self, items: Iterable[tuple[int, Any]]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Mailbox, Any]]] = defaultdict(list)
        with self._lock:
            for id_, item in items:
                if mailbox := self._mailboxes.get(id_):
                    by_loop[mailbox.loop].append((mailbox, item))
        for loop, batch in by_loop.items():
            try:
                loop.call_soon_threadsafe(_put_all, batch)
            except RuntimeError:
                # That loop was closed without closing its streams: nobody will ever close them.
                self._abandon(loop)

    def _abandon(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            for id_, mailbox in list(self._mailboxes.items()):
                if mailbox.loop is loop:
                    del self._mailboxes[id_]
                    mailbox.process.send({"op": "cancel", "id": id_})


def _put_all(batch: list[tuple[Mailbox, Any]]) -> None:
    for mailbox, item in batch:
        mailbox.queue.put_nowait(item)


def _items(message: dict[str, Any]) -> Iterable[tuple[int, Any]]:
    """Return the parts of a round's report, each with the id of its request."""
    for id_ in message.get("reading", ()):
        yield id_, Stage("reading")
    for id_, text, reason, usage in message.get("events", ()):
        if text:
            yield id_, TextDelta(text)
        if reason:
            yield id_, Finish(reason, Usage(*usage))
    for id_, *error in message.get("errors", ()):
        yield id_, decode_error(*error)
