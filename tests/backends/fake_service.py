"""The engine service with fake engines: as a program, and within a test's event loop."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from backends.base import ChatMessage, TextDelta
from backends.transformers.address import parse_address
from backends.transformers.client import EngineClient
from backends.transformers.place import ServicePlace
from backends.transformers.protocol import EngineOptions, GenerateRequest, encode_options
from backends.transformers.service.listening import listening_socket
from backends.transformers.service.server import Service, ServiceOptions, main

ROOT = Path(__file__).parents[2]
FAKE_ENGINE = (sys.executable, str(Path(__file__).with_name("fake_engine.py")))


def service_command(address, place, *options: str) -> list[str]:
    """Replace ``launch.service_command``."""
    given = ["--address", str(address), "--while-connected", "--linger", "0.2", "--max-models", str(place.max_models)]
    return [sys.executable, str(Path(__file__)), *given, *options]


@asynccontextmanager
async def running(address: str, **options):
    """Run a service in this event loop."""
    where = parse_address(address)
    with listening_socket(where) as listener:
        service = Service(ServiceOptions(address=where, engine_command=FAKE_ENGINE, **options))
        task = asyncio.create_task(service.run(listener))
        try:
            yield service
        finally:
            service.stop()
            await task


@asynccontextmanager
async def connected(address: str, **place):
    client = EngineClient(ServicePlace(address=address, **place))
    try:
        yield client
    finally:
        await asyncio.to_thread(client.close)


def key(model="fake", **options) -> str:
    return encode_options(EngineOptions(model=model, **options))


def prompt(text: str, **fields) -> GenerateRequest:
    values = {"temperature": 0, "top_p": 1, "repetition_penalty": 1, "max_output_tokens": 32, **fields}
    return GenerateRequest(messages=(ChatMessage("user", text),), **values)


async def collect(client, engine, text, **fields):
    async with aclosing(client.stream(engine, prompt(text, **fields))) as stream:
        return [event async for event in stream]


async def answer(client, engine, text) -> str:
    return "".join(event.text for event in await collect(client, engine, text) if isinstance(event, TextDelta))


async def engine_status(client, engine) -> dict:
    return next((one for one in (await client.status())["engines"] if one["engine"] == engine), {"state": "absent"})


async def until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.01)


async def until_state(client, engine, state):
    deadline = time.monotonic() + 5
    while (found := await engine_status(client, engine))["state"] != state:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.01)
    return found


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


if __name__ == "__main__":
    sys.exit(main(engine_command=FAKE_ENGINE))
