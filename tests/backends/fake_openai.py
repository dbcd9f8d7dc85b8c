"""A scripted OpenAI-like server over real HTTP, for tests and for trying things by hand.

The first word of the last message names the script; a word that is none is answered by ``ok``. In the background::

    with FakeOpenAI() as server:       # a thread of its own, so that it serves any event loop
        OpenAIBackend(model="fake", base_url=server.base_url)

and by hand: ``python -m tests.backends.fake_openai --port 9999``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field

from tests.backends.fake_openai_scripts import SCRIPTS, Action, Received, Script


@dataclass
class FakeOpenAI:
    script: str = ""
    """What every request gets, whatever its path and its prompt."""
    redirect_to: str = ""
    port: int = 0
    received: list[Received] = field(default_factory=list)
    """What came in, oldest first."""
    connections: int = 0
    open: int = 0
    """Connections that neither side has closed."""
    tls: ssl.SSLContext | None = None

    @property
    def base_url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> FakeOpenAI:
        listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self.serve(listening)), daemon=True)
        self._thread.start()
        assert listening.wait(5), "the fake server did not start"
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)

    def release(self) -> None:
        """Let all go on that hold, now and later."""
        self._loop.call_soon_threadsafe(self._released.set)

    async def serve(self, listening: threading.Event | None = None) -> None:
        self._loop, self._stop, self._released = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(asyncio.ensure_future(self._serve_connection(reader, writer)))

        server = await asyncio.start_server(accept, "127.0.0.1", self.port, ssl=self.tls)
        self.port = server.sockets[0].getsockname()[1]
        if listening:
            listening.set()
        await self._stop.wait()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):  # the client is gone, as it may
                ahead: bytes | None = b""
                while ahead is not None:
                    ahead = await self._serve_request(ahead, reader, writer)
        finally:
            self.open -= 1
            writer.transport.abort()

    async def _serve_request(
        self, ahead: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes | None:
        """Answer one request; return the first bytes of the next, or None if the connection can take none."""
        line, *fields = (ahead + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in fields if ": " in each)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        request = Received(*line.split()[:2], headers, json.loads(body or b"{}"))
        self.received.append(request)
        answering = asyncio.ensure_future(self._play(self._choose(request), request, writer))
        watching = asyncio.ensure_future(reader.read(1))  # a client that waits says nothing, so this is its goodbye
        try:
            await asyncio.wait((answering, watching), return_when=asyncio.FIRST_COMPLETED)
            if not answering.done() or isinstance(answering.exception(), ConnectionError):
                request.hung_up.set()
        finally:
            answering.cancel()
            watching.cancel()
            reusable, ahead = await asyncio.gather(answering, watching, return_exceptions=True)
        return (ahead if isinstance(ahead, bytes) else b"") if reusable is True else None

    def _choose(self, request: Received) -> Script:
        first_word = "models" if request.path.endswith("/models") else request.prompt.split(" ")[0]
        script = SCRIPTS.get(self.script or first_word, SCRIPTS["ok"])
        return SCRIPTS["ok"] if script.once and len(self.received) > 1 else script

    async def _play(self, script: Script, request: Received, writer: asyncio.StreamWriter) -> bool:
        """Do what the script says; return whether the connection can take another request."""
        if not script.raw:
            head = [f"HTTP/1.1 {script.status} Scripted", f"Content-Type: {script.kind}", "Transfer-Encoding: chunked"]
            head += [each.format(redirect_to=self.redirect_to) for each in script.headers]
            writer.write("\r\n".join([*head, "", ""]).encode())
        going = True
        while going:
            going = script.endless
            for step in script.steps:
                if step is Action.CUT:
                    writer.transport.abort()
                    return False
                if isinstance(step, float):
                    await asyncio.sleep(step)
                elif isinstance(step, Action):
                    await (self._released if step is Action.HOLD else asyncio.Event()).wait()
                else:
                    data = step if isinstance(step, bytes) else step(request)
                    writer.write(data if script.raw else b"%x\r\n%b\r\n" % (len(data), data))
                    await writer.drain()
        if not script.raw:
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        return not script.raw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9999)
    parser.add_argument("--script", default="", choices=["", *SCRIPTS], help="what every request gets")
    options = parser.parse_args()
    print("Scripts:", *SCRIPTS)
    asyncio.run(FakeOpenAI(script=options.script, port=options.port).serve())


if __name__ == "__main__":
    main()
