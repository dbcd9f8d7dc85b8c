"""SIGKILL of a local engine."""

from __future__ import annotations

import asyncio
import os
import signal

from backends.transformers.client import EngineClient
from backends.transformers.place import ServicePlace
from tests.crash.conftest import QUICK


def engine(site) -> int:
    """Return the process id of the site's one engine."""

    async def ask() -> int:
        client = EngineClient(ServicePlace(address=f"unix:{site.folder}/engine.sock"))
        try:
            (status,) = (await client.status())["engines"]
            return status["pid"]
        finally:
            await asyncio.to_thread(client.close)

    return asyncio.run(ask())


def test_in_mid_answer(start, visit, begin):
    """The answer says that it was cut, keeps its text and can be continued; the next one has a new engine."""
    site = start(**QUICK)
    alice = visit(site)
    page = begin(alice, "hang", assistant="engine")
    page.until_shown(1)
    os.kill(engine(site), signal.SIGKILL)
    page.until_over()
    assert (page.status, page.text) == ("failed", "…")
    page.go_on()  # this engine repeats the last thing that it is told
    page.until_over()
    assert (page.status, page.text) == ("completed", "…… ")
    page.ask("hello there", assistant="engine")
    page.until_over()
    assert (page.status, page.text) == ("completed", "hello there ")
