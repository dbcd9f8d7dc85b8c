"""One engine as the engine service sees it: its state, who asked it for what, and the process while there is one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from backends.exceptions import BackendTimeout, BackendUnavailable, ChatBackendError, StreamInterrupted
from backends.transformers.protocol import decode_error, decode_line, decode_options, split_numbered
from backends.transformers.service.asks import Ask, Asker, encode_failure
from backends.transformers.service.process import EngineProcess
from backends.transformers.service.restarts import LONGEST_WAIT, Restarts

logger = logging.getLogger(__name__)

EngineState = Literal["absent", "loading", "ready", "failed"]

STATUS_SECONDS = 1.0
"""How long an engine may take to tell its figures; one in the middle of a long step is described without them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an engine needs of the service."""

    command: Sequence[str]
    """Starts an engine process, with its options and a file descriptor as arguments."""
    deliver: Callable[[int, bytes], None]
    """Passes a line on to the connection of this number."""
    settle: Callable[[], None]
    """Is called whenever an engine wants to run, or could make room for another one."""


class Engine:
    """Absent, loading, ready or failed; whoever asks an absent one makes it wanted, and ``Fleet`` decides when it runs.

    What was asked waits in ``waiting`` until there is a process that may take it.
    """

    def __init__(self, key: str, surroundings: Surroundings) -> None:
        self.key = key
        self.options = decode_options(key)
        self.waiting: list[Ask] = []
        self.is_held = False
        """Whether it gets no further requests, so that it becomes idle and makes room."""
        self.is_ending = False
        self.last_used = time.monotonic()
        self._surroundings = surroundings
        self._process: EngineProcess | None = None
        self._is_ready = False
        self._ready_at = 0.0
        self._progress: float | None = None
        self._figures: dict[str, Any] = {}
        self._restarts = Restarts()
        self._starts = 0
        self._sent = 0
        self._finished = 0
        """How many of the generates that it was sent it had received when it last had nothing left to do."""
        self._askers: set[Asker] = set()
        self._loads: list[Ask] = []
        self._unloads: list[Ask] = []
        self._figure_waiters: list[asyncio.Future[None]] = []
        self._load_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None

    @property
    def has_process(self) -> bool:
        """Whether it takes room, also while it is ending."""
        return self._process is not None

    @property
    def is_wanted(self) -> bool:
        return bool(self.waiting) and self._process is None

    @property
    def is_idle(self) -> bool:
        return self._is_ready and self._finished == self._sent

    @property
    def state(self) -> EngineState:
        if self._is_ready:
            return "ready"
        if self.waiting or (self._process and not self.is_ending):
            return "loading"
        return "failed" if self._restarts.error else "absent"

    def ask(self, ask: Ask) -> None:
        """Take a request; it is sent when its turn comes, or refused when the engine failed a moment ago."""
        if self._process is None or self.is_ending:
            try:
                self._restarts.check()
            except ChatBackendError as error:
                ask.fail(error)
                return
        self._askers.add(ask.asker)
        ask.asked_at = time.monotonic()
        ask.timer = asyncio.get_running_loop().call_later(self.options.load_timeout, self._give_up_waiting, ask)
        self.waiting.append(ask)
        if not self._is_ready or self.is_held:
            ask.asker.send({"engine": self.key, "loading": None if self._is_ready else self._progress})
        self._surroundings.settle()

    def cancel(self, asker: Asker, id_: int) -> None:
        """Make sure that nobody works on this any more; unknown ids are over already."""
        if self._drop(lambda ask: ask.asker is asker and ask.id == id_):
            self._surroundings.settle()
        else:
            self._send({"op": "cancel", "to": asker.number, "id": id_})

    def forget(self, asker: Asker) -> None:
        """Drop all that this connection asked; an engine that loads goes on."""
        if asker not in self._askers:
            return
        self._askers.discard(asker)
        self._send({"op": "forget", "to": asker.number})
        if self._drop(lambda ask: ask.asker is asker):
            self._surroundings.settle()

    def unload(self, ask: Ask) -> None:
        """End the process and forget its failures; ``ask`` is answered when it is gone."""
        self._restarts = Restarts()
        self._unloads.append(ask)
        if self._process or self.waiting:
            self._go_down(StreamInterrupted(f"The model {self.options.model!r} was unloaded."))
        if self._process:
            self.end()
        else:
            self._answer(self._unloads)
            self._surroundings.settle()

    def start(self) -> None:
        """Start a process; afterwards it is loading, and what waited was sent."""
        self._starts += 1
        self._sent = self._finished = 0
        self._progress = None
        self._process = EngineProcess((*self._surroundings.command, self.key), self._hear, self._on_exit)
        self._load_timer = asyncio.get_running_loop().call_later(self.options.load_timeout, self._give_up_loading)
        self._log("loading")
        self.feed()

    def feed(self) -> None:
        """Send what waited to the process."""
        waiting, self.waiting = self.waiting, []
        for ask in waiting:
            _stop(ask.timer)
            self.last_used = time.monotonic()
            if ask.request is None:
                self._loads.append(ask)
            else:
                self._sent += 1
                _stop(self._idle_timer)
                self._send({"op": "generate", "to": ask.asker.number, "id": ask.id, "request": ask.request})
        if self._is_ready:
            self._answer(self._loads)

    def end(self) -> None:
        """End the process. What it still works on is lost, so that callers look first or tell who asked."""
        if self._process and not self.is_ending:
            self.is_ending, self._is_ready, self.is_held = True, False, False
            self._progress = None
            _stop(self._load_timer)
            _stop(self._idle_timer)
            self._process.kill()

    async def describe(self) -> dict[str, Any]:
        """Return its state and figures; waits for a busy one a moment only."""
        if self._is_ready:
            heard = asyncio.get_running_loop().create_future()
            self._figure_waiters.append(heard)
            self._send({"op": "status"})
            await asyncio.wait([heard], timeout=STATUS_SECONDS)
        error = self._restarts.error
        return {
            **asdict(self.options),
            "engine": self.key,
            "state": self.state,
            "idle": self.is_idle,
            "progress": self._progress,
            "error": str(error) if error else None,
            "pid": self._process.pid if self._process else None,
            "memory_bytes": self._process.resident_bytes() if self._process else None,
            "asked": len(self.waiting),
            "last_used": round(time.time() - (time.monotonic() - self.last_used), 1),
            "restarts": max(self._starts - 1, 0),
            **(self._figures if self._is_ready else {}),
        }

    def _hear(self, line: bytes) -> None:
        number, rest = split_numbered(line)
        if number:
            self._surroundings.deliver(number, rest)
        elif not self.is_ending:
            self._obey(decode_line(rest))

    def _obey(self, message: dict[str, Any]) -> None:
        match message:
            case {"loading": progress}:
                self._progress = progress
                self._tell({"engine": self.key, "loading": progress})
            case {"ready": figures}:
                self._become_ready(figures)
            case {"failed": error}:
                self._fail_loading(decode_error(*error))
            case {"idle": count} if count != self._finished:  # it may say so again, which makes it no less idle
                self._finished = count
                self._become_idle()
            case {"status": figures}:
                self._figures = figures
                _resolve(self._figure_waiters)

    def _become_ready(self, figures: dict[str, Any]) -> None:
        _stop(self._load_timer)
        self._is_ready, self._ready_at = True, time.monotonic()
        self._progress = 1.0
        self._figures = figures
        self._log("ready")
        self._answer(self._loads)
        if self.is_idle:
            self._become_idle()

    def _become_idle(self) -> None:
        if not self.is_idle:
            return  # a request is on its way
        if self._finished:
            self._restarts.succeeded()
        self.last_used = time.monotonic()
        if self.options.idle_unload is not None:
            _stop(self._idle_timer)
            self._idle_timer = asyncio.get_running_loop().call_later(self.options.idle_unload, self._end_if_idle)
        self._surroundings.settle()

    def _end_if_idle(self) -> None:
        if self.is_idle:
            self._log(f"ends, idle for {self.options.idle_unload:g} seconds")
            self.end()

    def _give_up_loading(self) -> None:
        self._fail_loading(
            BackendTimeout(
                f"The model {self.options.model!r} was not loaded after {self.options.load_timeout:g} seconds.",
                hint="Raise the backend option 'load_timeout'.",
            )
        )

    def _give_up_waiting(self, ask: Ask) -> None:
        self.waiting.remove(ask)
        ask.fail(
            BackendUnavailable(
                f"There was no room for the model {self.options.model!r} within {self.options.load_timeout:g} seconds.",
                hint="Raise CHAT_ENGINE_MAX_MODELS where memory allows it, or offer fewer models at once.",
            ),
        )
        self._surroundings.settle()

    def _fail_loading(self, error: ChatBackendError) -> None:
        self._restarts.load_failed(error)
        self._go_down(error)
        self.end()

    def _on_exit(self, process: EngineProcess) -> None:
        if not self.is_ending:
            self._go_down(self._crashed(process.describe_end()))
            self.end()
        self._process, self.is_ending = None, False
        self._log("ended")
        _resolve(self._figure_waiters)
        self._answer(self._unloads)
        self._surroundings.settle()

    def _crashed(self, how: str) -> ChatBackendError:
        if not self._is_ready:
            error: ChatBackendError = BackendUnavailable(f"The engine process {how}, while it loaded the model")
            self._restarts.load_failed(error)
            return error
        error = StreamInterrupted(f"The engine process {how}")
        if time.monotonic() - self._ready_at > LONGEST_WAIT:
            self._restarts.succeeded()  # one that is never idle has answered all the same
        self._restarts.crashed(error)
        return error

    def _go_down(self, error: ChatBackendError) -> None:
        """Fail all that was asked."""
        logger.warning("The model %s is down: %s", self.options.model, error)
        for asker in self._askers:
            asker.send({"engine": self.key, "down": encode_failure(error), "upto": asker.last_id})
        self._askers.clear()
        self._loads.clear()
        self._drop(lambda ask: True)

    def _tell(self, message: Mapping[str, Any]) -> None:
        for asker in self._askers:
            asker.send(message)

    def _answer(self, asks: list[Ask]) -> None:
        for ask in asks:
            ask.answer(self.state)
        asks.clear()

    def _drop(self, is_meant: Callable[[Ask], bool]) -> int:
        """Take requests out of those that wait, and return how many."""
        dropped = [ask for ask in self.waiting if is_meant(ask)]
        for ask in dropped:
            _stop(ask.timer)
            self.waiting.remove(ask)
        return len(dropped)

    def _send(self, message: Mapping[str, Any]) -> None:
        if self._process and not self.is_ending:
            self._process.send(message)

    def _log(self, what: str) -> None:
        logger.info("The model %s: %s", self.options.model, what)


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer:
        timer.cancel()


def _resolve(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
    waiters.clear()
