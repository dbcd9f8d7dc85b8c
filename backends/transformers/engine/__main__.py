"""The engine process: ``python -m backends.transformers.engine OPTIONS FD``, started by the engine service.

Three threads: the main one calculates, and no other does (OpenMP makes one team of threads for each thread that
calculates, and with two teams both sleep and wake instead of working: 23 instead of 34 tokens a second were measured).
One reads the socket and ends the process when the other side is gone, whatever the main thread does. One turns
conversations into tokens, so that nobody's next token waits for somebody's long prompt.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from backends.exceptions import BackendUnavailable, ChatBackendError
from backends.transformers.fetch import find_model
from backends.transformers.protocol import (
    SERVICE,
    EngineOptions,
    decode_line,
    decode_options,
    decode_request,
    encode_error,
    encode_numbered,
)

if TYPE_CHECKING:
    from backends.transformers.engine.answers import Answer
    from backends.transformers.engine.model import LoadedModel
    from backends.transformers.engine.scheduler import Scheduler

NICE = 1
"""On a CPU the web process goes first: it needs little, and people wait for it. Beside a core that is 40 % busy, 1 and
5 lose the same."""
SPINS = "10000"
"""Rounds: on idle cores as quick as spinning for ever, to a twentieth."""
GATHER_SECONDS = 0.002
"""Prompts that are read together are all read in the time of the longest."""
IMPORTED, LOADED = 0.3, 0.8
"""How far loading is, by time, once the libraries are imported and once the weights are here."""


class Connection:
    """The engine's end of the socket."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        self._inbox: SimpleQueue[dict[str, Any]] = SimpleQueue()
        threading.Thread(target=self._read, name="reader", daemon=True).start()

    def send(self, line: bytes) -> None:
        self._socket.sendall(line)

    def tell(self, **message: Any) -> None:
        """Say something to the service itself."""
        self.send(encode_numbered(SERVICE, message))

    def prepare_for(self, model: LoadedModel) -> None:
        """From now on requests come as answers that can begin."""
        threading.Thread(target=self._prepare, args=(model,), name="preparer", daemon=True).start()

    def receive(self, *, is_idle: bool) -> Iterator[dict[str, Any]]:
        """Yield the messages that are here. Who is idle waits for one, and a moment for those that come with it."""
        try:
            if is_idle:
                yield self._inbox.get()
            while True:
                yield self._inbox.get(timeout=GATHER_SECONDS) if is_idle else self._inbox.get_nowait()
        except Empty:
            return

    def _read(self) -> None:
        try:
            with self._socket.makefile("rb") as lines:
                for line in lines:
                    self._lines.put(line)
        finally:
            os._exit(0)  # nobody is left to write for

    def _prepare(self, model: LoadedModel) -> None:
        while True:
            message = decode_line(self._lines.get())
            if message["op"] == "generate":
                message |= _prepared(message, model)
            self._inbox.put(message)


def _prepared(message: dict[str, Any], model: LoadedModel) -> dict[str, Any]:
    from backends.transformers.engine.answers import Answer
    from backends.transformers.engine.dialogue import build_prompt

    try:
        request = decode_request(message["request"])
        prompt = build_prompt(
            model.tokenizer, request.messages, context=model.context, max_output_tokens=request.max_output_tokens
        )
        return {"answer": Answer((message["to"], message["id"]), request, prompt, model)}
    except ChatBackendError as error:
        return {"error": error}
    except Exception as error:  # noqa: BLE001 - a bad request fails alone, and the error goes to whoever sent it
        return {"error": BackendUnavailable(f"The prompt cannot be read: {type(error).__name__}: {error}"[:500])}


def main(options_text: str, fd: str) -> int:
    """Load the model and answer until the other side is gone."""
    # Whoever started us decides when we end. A Ctrl-C or a supervisor's SIGTERM reaches us as well, but the web process
    # may want its running answers finished first; when the service goes, the socket ends and so do we.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    connection = Connection(int(fd))
    began = time.monotonic()
    try:
        scheduler = _load(decode_options(options_text), connection)
    except ChatBackendError as error:
        connection.tell(failed=encode_error(error))
        return 1
    except Exception as error:  # this process hands its error back
        wrapped = BackendUnavailable(f"The model could not be loaded: {type(error).__name__}: {error}"[:500])
        connection.tell(failed=encode_error(wrapped))
        raise
    figures = {"load_seconds": round(time.monotonic() - began, 1), "pid": os.getpid()}
    connection.tell(ready=_status(scheduler) | figures)
    _serve(connection, scheduler, figures)
    return 0


def _load(options: EngineOptions, connection: Connection) -> Scheduler:
    # Before transformers is imported, which reads these once. An unreachable hub would cost 25 to 490 seconds.
    os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Before torch is imported. Threads that spin while they wait for each other collapse when a core is busy with
    # something else, as it is where the site runs beside us: 4 instead of 32 tokens a second were measured.
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    folder = find_model(options.model, options.revision)  # before the imports, which take seconds
    connection.tell(loading=0.0)
    import torch

    from backends.transformers.engine.model import choose_device, load_model

    connection.tell(loading=IMPORTED)
    device = choose_device(options.device)
    if device.type == "cpu":
        os.nice(NICE)
        torch.set_num_threads(options.threads or torch.get_num_threads())
    with torch.inference_mode():
        said = IMPORTED

        def tell(share: float) -> None:
            nonlocal said
            if (now := round(IMPORTED + (LOADED - IMPORTED) * share, 2)) - said >= 0.05:
                said = now
                connection.tell(loading=now)

        model = load_model(folder, options, device, tell)
        connection.tell(loading=LOADED)
        scheduler = _make_scheduler(model, options)
    connection.prepare_for(model)
    return scheduler


def _make_scheduler(model: LoadedModel, options: EngineOptions) -> Scheduler:
    from backends.transformers.engine.graphs import GraphedSteps
    from backends.transformers.engine.scheduler import Scheduler
    from backends.transformers.engine.slots import Slots
    from backends.transformers.engine.traces import TracedSteps

    slots = Slots(model.network, count=options.slots, context=model.context)
    steps = (GraphedSteps if model.device.type == "cuda" else TracedSteps)(model.network, slots)
    steps.check()
    steps.warm_up()
    return Scheduler(model, steps, options)


def _serve(connection: Connection, scheduler: Scheduler, figures: dict[str, Any]) -> None:
    import torch

    submitted = 0
    with torch.inference_mode():
        while True:
            for message in connection.receive(is_idle=scheduler.is_idle):
                submitted += message["op"] == "generate"
                if message["op"] == "status":
                    connection.tell(status=_status(scheduler) | figures)
                else:
                    _obey(message, scheduler)
                if scheduler.is_idle:
                    connection.tell(idle=submitted)
            for line in scheduler.step().lines():
                connection.send(line)
            if scheduler.is_idle:
                connection.tell(idle=submitted)


def _obey(message: dict[str, Any], scheduler: Scheduler) -> None:
    match message["op"]:
        case "generate" if "answer" in message:
            answer: Answer = message["answer"]
            scheduler.submit(answer)
        case "generate":
            scheduler.refuse((message["to"], message["id"]), message["error"])
        case "cancel":
            scheduler.cancel((message["to"], message["id"]))
        case "forget":
            scheduler.forget(message["to"])


def _status(scheduler: Scheduler) -> dict[str, Any]:
    # The kernel counts in KiB on Linux, in bytes on macOS; a peak, which for a process with fixed memory is its size.
    unit = 1 if sys.platform == "darwin" else 1024
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return scheduler.status() | {"memory_bytes": memory}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
