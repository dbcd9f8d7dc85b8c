"""How long the server takes to the first piece of an answer, by the length of the history.

``python -m bench.first_token`` makes a database in a temporary folder, starts the real server with a backend that
answers at once, and plays a browser: it opens the event stream, sends a message and waits for its first delta. The time
counts from sending the request to reading the delta, HTTP, storage and events included; rounds with and without history
take turns, so that a noisy machine disturbs both alike.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

HISTORIES = (0, 1_600)
ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="first-token-") as folder:
        os.environ |= {"VAR_DIR": folder, "DJANGO_SETTINGS_MODULE": "bench.settings"}
        people = _make_people()
        server, port = _start_server()
        try:
            times = asyncio.run(_measure(port, people, rounds))
        finally:
            server.terminate()
            server.wait(20)
    for history, seconds in times.items():
        ordered = sorted(second * 1000 for second in seconds)
        print(
            f"{history:>6} messages of history: first delta after {statistics.median(ordered):6.1f} ms (median), "
            f"p95 {ordered[int(len(ordered) * 0.95)]:.1f}, min {ordered[0]:.1f}, {len(ordered)} rounds"
        )
    medians = [statistics.median(times[history]) for history in HISTORIES]
    print(f"ratio of the medians: {medians[1] / medians[0]:.2f}")


def _make_people() -> dict[int, tuple[str, str]]:
    """Return, by length of history, the session and the conversation of a person who has it."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.test import Client

    from chat.models import Assistant, Conversation, User

    (Path(os.environ["VAR_DIR"]) / "static").mkdir()
    call_command("migrate", verbosity=0)
    assistant = Assistant.objects.create(name="Instant", slug="instant", backend="instant")
    people = {}
    for history in HISTORIES:
        user = User.objects.create_user(f"user{history}")
        conversation = Conversation.objects.create(owner=user, title="Bench", assistant=assistant)
        _fill(conversation, history)
        client = Client()
        client.force_login(user)
        people[history] = (client.cookies["sessionid"].value, str(conversation.pk))
    return people


def _fill(conversation: Any, messages: int) -> None:
    from chat.models import Generation, Message, Status

    parent = None
    for number in range(messages):
        role = "user" if number % 2 == 0 else "assistant"
        parent = Message.objects.create(
            conversation=conversation, parent=parent, role=role, content="Some words of a message. " * 12
        )
        if role == "assistant":
            Generation.objects.create(
                message=parent, status=Status.COMPLETED, backend="instant", assistant_name="Instant"
            )
    conversation.leaf = parent
    conversation.save()


def _start_server() -> tuple[subprocess.Popen[bytes], int]:
    port = 8700 + os.getpid() % 200
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "chatsite.asgi:application",
        "--port",
        str(port),
        "--log-level",
        "error",
    ]
    return subprocess.Popen([*command, "--no-access-log"], cwd=ROOT), port


async def _measure(port: int, people: dict[int, tuple[str, str]], rounds: int) -> dict[int, list[float]]:
    import aiohttp

    times: dict[int, list[float]] = {history: [] for history in people}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", cookie_jar=aiohttp.DummyCookieJar()) as http:
        await _wait_for(http)
        for number in range(rounds + 3):
            for history, (session, conversation) in people.items():
                seconds = await _round(http, session, conversation)
                if number >= 3:  # the first rounds warm up
                    times[history].append(seconds)
    return times


async def _wait_for(http: Any) -> None:
    import aiohttp

    for _ in range(200):
        try:
            async with http.get("/accounts/login/"):
                return
        except aiohttp.ClientError:
            await asyncio.sleep(0.1)
    raise SystemExit("The server did not start.")


async def _round(http: Any, session: str, conversation: str) -> float:
    token = "t" * 32
    headers = {
        "Cookie": f"sessionid={session}; csrftoken={token}",
        "X-CSRFToken": token,
        "Accept": "application/json",
    }
    async with http.get(f"/c/{conversation}/events/", headers=headers) as stream:
        await _event(stream, "stream-open")
        form = {"content": "Say hello.", "key": str(uuid.uuid4()), "assistant": "instant"}
        began = time.perf_counter()
        sending = asyncio.create_task(_send(http, conversation, form, headers))
        await _event(stream, "message.delta")
        seconds = time.perf_counter() - began
        await sending
        await _event(stream, "message.finished")
    return seconds


async def _send(http: Any, conversation: str, form: dict[str, str], headers: dict[str, str]) -> None:
    async with http.post(f"/c/{conversation}/messages/", data=form, headers=headers) as response:
        if response.status != 201:
            raise SystemExit(f"Sending failed: {response.status} {(await response.text())[:500]}")


async def _event(stream: Any, name: str) -> Any:
    found = False
    async for line in stream.content:
        text = line.decode().rstrip("\n")
        if text.startswith("event:"):
            found = text == f"event: {name}"
        elif found and text.startswith("data:"):
            return json.loads(text[5:] or "null")
    raise SystemExit("The stream ended.")


if __name__ == "__main__":
    main()
