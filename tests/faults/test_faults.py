"""Each fault of a model's server, over real HTTP: once at the backend, and once through the whole site."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from backends import ChatMessage, ChatRequest, Finish, TextDelta, chat_backends
from backends.exceptions import ChatBackendError
from backends.guard import Limits
from chat.models import Assistant, Generation
from chat.runner import run_generation
from chat.wording import Notice, notice_for
from tests.backends.fake_openai import FakeOpenAI
from tests.backends.fake_openai_scripts import SCRIPTS
from tests.fakes import claim_one
from tests.faults.cases import FAULTS, GROUPS, Fault
from tests.faults.conftest import KEY
from tests.patience import until

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
Serve = Callable[[Fault], FakeOpenAI]

each_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.script)


async def read(prompt: str) -> tuple[str, str, str]:
    """Return the text, the status and the reason that the guard lets out."""
    text = ""
    request = ChatRequest(messages=(ChatMessage("user", prompt),))
    try:
        async with aclosing(chat_backends.stream("openai", request)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    text += event.text
                elif isinstance(event, Finish):
                    return text, "completed" if event.reason == "stop" else "incomplete", event.reason
    except ChatBackendError as error:
        return text, "failed", error.code
    raise AssertionError("no verdict")


def is_as_stored(fault: Fault, text: str) -> bool:
    return text.startswith(fault.text[:-1]) if fault.text.endswith("…") else text == fault.text


@each_fault
async def test_the_backend(fault: Fault, serve: Serve) -> None:
    server = serve(fault)
    text, *verdict = await read(fault.script)
    assert verdict == [fault.status, fault.why]
    assert is_as_stored(fault, text)
    assert len(server.received) == fault.requests
    if fault.hangs_up:
        assert await asyncio.to_thread(server.received[-1].hung_up.wait, 2), "the server goes on for nobody"
    await chat_backends["openai"].aclose()
    await asyncio.to_thread(until, lambda: server.open == 0, 2)


@pytest.fixture
def fake(db: None) -> Assistant:
    return Assistant.objects.create(name="Fake", slug="fake", backend="openai")


def run_next() -> Generation:
    async def run(claimed: Generation) -> None:
        await run_generation(claimed)
        await chat_backends["openai"].aclose()

    claimed = claim_one("this-worker")
    assert claimed is not None
    asyncio.run(run(claimed))
    return Generation.objects.select_related("message").get(pk=claimed.pk)


@pytest.mark.django_db(transaction=True)
@each_fault
def test_the_site(
    fault: Fault, serve: Serve, ask: Any, fake: Assistant, published: list[tuple[str, str, dict]]
) -> None:
    server = serve(fault)
    ask(fake, fault.script)
    ended = run_next()

    assert (ended.status, ended.error_code or ended.finish_reason) == (fault.status, fault.why)
    assert is_as_stored(fault, ended.message.content)
    assert len(server.received) == fault.requests
    assert told(published, "message.delta", "text") == ended.message.content
    (finished,) = [data for _, event, data in published if event == "message.finished"]
    assert (finished["status"], finished["length"]) == (fault.status, len(ended.message.content))
    expected = notice(fault)
    if ended.retry_at:  # the server said when: in 110 seconds
        expected = replace(expected, hint="Try again in 2 minutes.")
    assert notice_for(ended) == expected
    assert KEY not in ended.error_detail
    if fault.hangs_up:
        assert server.received[-1].hung_up.wait(2), "the server goes on for nobody"
    until(lambda: server.open == 0, 2)


def told(published: list[tuple[str, str, dict]], event: str, name: str) -> str:
    return "".join(data[name] for _, each, data in published if each == event)


async def test_a_redirect_hands_nothing_on(serve: Serve, elsewhere: FakeOpenAI) -> None:
    fault = next(fault for fault in FAULTS if fault.script == "redirect")
    server = serve(fault)
    await read("redirect")
    await chat_backends["openai"].aclose()
    assert server.redirect_to.startswith(elsewhere.base_url)
    assert (elsewhere.connections, elsewhere.received) == (0, [])


async def test_a_flood_leaves_the_event_loop_to_others(serve: Serve) -> None:
    serve(Fault(script="flood", server="", status="", why="", limits={"characters": 300_000}))
    longest, before = 0.0, time.monotonic()

    async def beat() -> None:
        nonlocal longest, before
        while True:
            await asyncio.sleep(0)
            now = time.monotonic()
            longest, before = max(longest, now - before), now

    await read("ok")  # the SDK is imported once, in a thread
    heart = asyncio.create_task(beat())
    assert (await read("flood"))[1:] == ("incomplete", "length")
    heart.cancel()
    await chat_backends["openai"].aclose()
    assert longest < 0.5


def notice(fault: Fault) -> Notice | None:
    reason = {"error_code": fault.why} if fault.status == "failed" else {"finish_reason": fault.why}
    return notice_for(Generation(status=fault.status, first_delta_at=timezone.now() if fault.text else None, **reason))


def row(fault: Fault) -> str:
    said = notice(fault)
    sees = " ".join(filter(None, [str(said.text), str(said.hint)])) if said else "the answer"
    stored = "the whole text" if fault.status == "completed" else "the text so far" if fault.text else "no text"
    retry = "–" if said is None else "yes" if said.can_retry else "no"
    return f"| `{fault.script}` | {fault.server} | {sees} | `{fault.status}` (`{fault.why}`), {stored} | {retry} |"


def test_the_table_is_true() -> None:
    """Its rows are made of the cases that are played above, and of the site's words; where they differ, these count."""
    sections = re.split(r"^### ", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    documented = {part.split("\n")[0]: re.findall(r"^\| `.*$", part, re.MULTILINE) for part in sections}
    rows = {group: [row(fault) for fault in faults] for group, faults in GROUPS.items()}
    assert documented == rows, "\n".join(line for group, lines in rows.items() for line in (f"### {group}", *lines))


def test_the_limits_are_documented() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: int(value.replace(",", "")) for name, value in rows} == asdict(Limits())


def test_every_fault_has_a_script() -> None:
    assert {fault.script for fault in FAULTS} <= {*SCRIPTS, "refused", "tls"}
    assert len(FAULTS) == len({fault.script for fault in FAULTS}) >= 25
