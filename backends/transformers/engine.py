"""The engine process: ``python -m backends.transformers.engine OPTIONS FD``, started by client.py.

All torch work happens on the main thread: OpenMP makes one team of threads for each thread that calculates, and with
two teams both sleep and wake instead of working (measured: 23 instead of 34 tokens a second). A second thread reads
the socket and ends the process when the other side is gone, however that happened and whatever the main thread does.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from backends.exceptions import BackendUnavailable, ChatBackendError
from backends.transformers.fetch import find_model
from backends.transformers.protocol import decode_line, decode_options, encode_error, encode_line

if TYPE_CHECKING:
    from backends.transformers.scheduler import Scheduler


NICE = 5
"""On a CPU the web process goes first: it needs little, and people wait for it."""


class Connection:
    """The engine's end of the socket."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._inbox: SimpleQueue[dict[str, Any]] = SimpleQueue()
        threading.Thread(target=self._read, name="engine-reader", daemon=True).start()

    def send(self, message: dict[str, Any]) -> None:
        self._socket.sendall(encode_line(message))

    def receive(self, *, wait: bool) -> dict[str, Any] | None:
        """Return the next message, or None if there is none and we do not wait."""
        try:
            return self._inbox.get(block=wait)
        except Empty:
            return None

    def _read(self) -> None:
        try:
            with self._socket.makefile("rb") as lines:
                for line in lines:
                    self._inbox.put(decode_line(line))
        finally:
            os._exit(0)  # nobody is left to write for


def main(options_text: str, fd: str) -> int:
    """Load the model and answer until the other side is gone."""
    # Whoever started us decides when we end. A Ctrl-C or a supervisor's SIGTERM reaches us as well, but the web process
    # may want its running answers finished first; when it goes, the socket ends and so do we.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    connection = Connection(int(fd))
    try:
        scheduler = _load(options_text)
    except ChatBackendError as error:
        connection.send({"state": "failed", "error": encode_error(error)})
        return 1
    except Exception as error:  # this process hands its error back
        wrapped = BackendUnavailable(f"The model could not be loaded: {type(error).__name__}: {error}"[:500])
        connection.send({"state": "failed", "error": encode_error(wrapped)})
        raise
    connection.send({"state": "ready"})
    _serve(connection, scheduler)
    return 0


def _load(options_text: str) -> Scheduler:
    options = decode_options(options_text)
    # Before transformers is imported, which reads these once. An unreachable hub would cost 25 to 490 seconds.
    os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    folder = find_model(options.model, options.revision)  # before the imports, which take seconds
    import torch

    from backends.transformers.model import choose_device, load_model
    from backends.transformers.scheduler import Scheduler

    device = choose_device(options.device)
    if device.type == "cpu":
        os.nice(NICE)
        torch.set_num_threads(options.threads or torch.get_num_threads())
    return Scheduler(load_model(folder, options, device))


def _serve(connection: Connection, scheduler: Scheduler) -> None:
    # torch is imported by now.
    import torch

    with torch.inference_mode():
        while True:
            while message := connection.receive(wait=scheduler.is_idle):
                _obey(message, scheduler, connection)
            if report := scheduler.step():
                connection.send(report)


def _obey(message: dict[str, Any], scheduler: Scheduler, connection: Connection) -> None:
    match message["op"]:
        case "generate":
            scheduler.submit(message["id"], message["request"])
        case "cancel":
            scheduler.cancel(message["id"])
        case "status":
            connection.send({"status": [message["id"], scheduler.status()]})


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
