"""Several processes, one site: whichever process a tab comes to, it sees the same."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis import Redis

from tests.processes.backends import whole
from tests.processes.site import Person, Sent, Tab, Web, are_prefixes, cancel, eventually, send


async def test_it_works(site, http, person):
    """An answer that one process writes is seen letter by letter at another one, as it is stored."""
    sent = await send(http, site.webs[1], person, "count 60 20")
    writer = site.writer(sent.answer)
    async with Tab(http, site.others(writer)[0], person, sent.conversation) as tab:
        await tab.until(lambda: tab.is_over(sent.answer))
        assert tab.text(sent.answer) == site.stored(sent.answer) == whole(60)
        assert are_prefixes(tab.history, whole(60))
        assert tab.kinds.count("message.delta") >= 10
        assert site.status(sent.answer) == ("completed", "stop")


async def test_a_reload_elsewhere_goes_on(site, http, person):
    sent = await send(http, site.webs[0], person, "count 100 20")
    writer = site.writer(sent.answer)
    other, third = site.others(writer)
    async with Tab(http, other, person, sent.conversation) as tab:
        await tab.until(lambda: len(tab.text(sent.answer)) > 50)
    async with Tab(http, third, person, sent.conversation) as tab:
        assert len(tab.text(sent.answer)) > 50
        assert not tab.is_over(sent.answer)
        await tab.until(lambda: tab.is_over(sent.answer))
        assert tab.text(sent.answer) == site.stored(sent.answer) == whole(100)
        assert are_prefixes(tab.history, whole(100))
        assert tab.kinds.count("message.delta") >= 10


async def test_cancel_works_from_anywhere(site, http, person):
    question = "count 10000 20 cancelled"
    sent = await send(http, site.webs[1], person, question)
    writer = site.writer(sent.answer)
    other, third = site.others(writer)
    async with Tab(http, third, person, sent.conversation) as tab:
        await tab.until(lambda: tab.text(sent.answer))
        await cancel(http, other, person, sent)
        assert await eventually(lambda: site.asked(question, "closed") == [writer.pid]) < 3
        await tab.until(lambda: tab.is_over(sent.answer))
        assert tab.text(sent.answer) == site.stored(sent.answer)
    assert site.status(sent.answer)[0] == "cancelled"


async def test_a_second_tab_elsewhere_hears_of_a_new_question(site, http, person):
    first = await send(http, site.webs[0], person, "count 1 0")
    async with Tab(http, site.webs[2], person, first.conversation) as tab:
        await tab.until(lambda: tab.is_over(first.answer))
        second = await send(http, site.webs[0], person, "count 3 0 again", first.conversation)
        await tab.until(lambda: tab.is_over(second.answer))
        created = [data["message"] for kind, data in tab.heard if kind == "message.created"]
        assert created == [second.question, second.answer]
        assert tab.reader.branch == [first.question, first.answer, second.question, second.answer]
        assert tab.text(second.question) == "count 3 0 again"


async def test_the_place_in_another_process_is_unknown(site, http, person):
    sent = await send(http, site.webs[0], person, "count 40 20")
    async with Tab(http, site.webs[0], person, sent.conversation) as tab:
        await tab.until(lambda: len(tab.text(sent.answer)) > 20)
        place = tab.last_event_id
    moved = Tab(http, site.webs[1], person, sent.conversation)
    moved.last_event_id = place
    async with moved:
        await moved.until(lambda: "stream-reset" in moved.kinds)
        assert moved.kinds[0] == "stream-reset"
        await moved.until(lambda: moved.is_over(sent.answer))
        assert moved.text(sent.answer) == site.stored(sent.answer) == whole(40)


async def test_a_killed_process_is_noticed_by_the_others(site, http, person):
    sent = await send(http, site.webs[0], person, "count 10000 20 killed")
    writer = site.writer(sent.answer)
    async with Tab(http, site.others(writer)[0], person, sent.conversation) as tab:
        await tab.until(lambda: len(tab.text(sent.answer)) > 20)
        writer.stop(signal.SIGKILL)
        await tab.until(lambda: tab.is_over(sent.answer), 10)
        assert site.status(sent.answer) == ("incomplete", "interrupted")
        assert tab.text(sent.answer) == site.stored(sent.answer)
        assert whole(10_000).startswith(tab.text(sent.answer))
    # Its people are served by the others.
    again = await send(http, site.others(writer)[1], person, "count 2 0 after", sent.conversation)
    await eventually(lambda: site.status(again.answer)[0] == "completed")


@pytest.mark.parametrize("seconds", [0, 3])
async def test_redis_goes_and_comes_back(site, http, person, seconds):
    """The answer goes on, and the pages catch up from the database."""
    sent = await send(http, site.webs[0], person, f"count {250 if seconds else 120} 20 redis")
    writer = site.writer(sent.answer)
    async with AsyncExitStack() as stack:
        tabs = [
            await stack.enter_async_context(Tab(http, web, person, sent.conversation)) for web in site.others(writer)
        ]
        for tab in tabs:
            await tab.until(lambda tab=tab: len(tab.text(sent.answer)) > 20)
        site.redis.stop(signal.SIGKILL)
        if seconds:
            await eventually(lambda: all(web.health() == (200, state("unreachable")) for web in site.webs), 2)
            length = len(site.stored(sent.answer))
            await asyncio.sleep(seconds)
            assert len(site.stored(sent.answer)) > length
        site.redis.start()
        await eventually(lambda: all(web.health() == (200, state("ok")) for web in site.webs), 5)
        for tab in tabs:
            # It grows again before the answer is over.
            length = len(tab.text(sent.answer))
            await tab.until(lambda tab=tab, length=length: len(tab.text(sent.answer)) > length, 3)
        for tab in tabs:
            await tab.until(lambda tab=tab: tab.is_over(sent.answer))
            assert tab.text(sent.answer) == site.stored(sent.answer) == whole(250 if seconds else 120)
            assert are_prefixes(tab.history, whole(250))
            assert tab.openings == 1
    assert site.status(sent.answer) == ("completed", "stop")


def state(redis: str) -> dict[str, str]:
    return {"database": "ok", "redis": redis}


async def leave_by_log_out(site, http, person):
    async with http.post(f"{site.webs[1].url}/accounts/logout/", headers=person.headers, allow_redirects=False) as done:
        assert done.status in {200, 302}


async def leave_by_deactivation(site, http, person):
    site.query("UPDATE chat_user SET is_active = false WHERE id = %s", person.pk)


@pytest.mark.parametrize("leave", [leave_by_log_out, leave_by_deactivation])
async def test_who_leaves_leaves_everywhere(site, http, person, leave):
    sent = await send(http, site.webs[0], person, "count 1 0")
    async with AsyncExitStack() as stack:
        tabs = [await stack.enter_async_context(Tab(http, web, person, sent.conversation)) for web in site.webs]
        await leave(site, http, person)
        for tab in tabs:
            await tab.until(lambda tab=tab: tab.is_sent_away, 5)
            assert tab.kinds[-1] == "stream-error"


async def send_forty(site, http, question: str) -> list[tuple[Person, Sent]]:
    """Ask forty questions at once, over two processes, for four people: more than the processes write at once."""
    people = [site.people.pop() for _ in range(4)]

    async def ask(number: int) -> tuple[Person, Sent]:
        person = people[number % 4]
        return person, await send(http, site.webs[number % 2], person, f"{question} number {number}")

    return await asyncio.gather(*(ask(number) for number in range(40)))


def are_over(site, sent: list[tuple[Person, Sent]]) -> bool:
    return all(site.status(one.answer)[0] not in {"queued", "in_progress"} for _, one in sent)


async def test_forty_answers_at_once(site, http):
    sent = await send_forty(site, http, "count 20 10")
    await eventually(lambda: are_over(site, sent), 30)
    for number, (_, one) in enumerate(sent):
        assert site.status(one.answer) == ("completed", "stop")
        assert site.stored(one.answer) == whole(20)
        assert len(site.asked(f"count 20 10 number {number}")) == 1


async def test_forty_cancels_at_once(site, http):
    """At another process than the one that was asked, while some wait, some are written and some end."""
    sent = await send_forty(site, http, "count 30 10")
    await asyncio.sleep(0.2)
    await asyncio.gather(*(cancel(http, site.webs[2 - number % 2], *one) for number, one in enumerate(sent)))
    assert are_over(site, sent)
    for number, (_, one) in enumerate(sent):
        question = f"count 30 10 number {number}"
        await eventually(lambda question=question: len(site.asked(question)) == len(site.asked(question, "closed")), 3)
        assert site.status(one.answer)[0] in {"cancelled", "completed"}
        assert whole(30).startswith(site.stored(one.answer))
        assert len(site.asked(question)) <= 1
    assert site.query("SELECT count(*) FROM chat_draftpiece") == [(0,)]


async def test_nobody_hears_what_nobody_watches_there(site, http, person):
    """Redis tells a process nothing of conversations that nobody has open there."""
    sent = await send(http, site.webs[0], person, "count 50 20")
    writer = site.writer(sent.answer)
    with Redis.from_url(site.redis_url, decode_responses=True) as redis:
        assert hearing(redis, sent) == 0
        async with Tab(http, site.others(writer)[0], person, sent.conversation) as tab:
            await tab.until(lambda: tab.kinds.count("message.delta") > 5)
            assert hearing(redis, sent) == 1
            await tab.until(lambda: tab.is_over(sent.answer))


async def test_the_database_goes_and_comes_back(site, http, person):
    site.may_complain = True
    sent = await send(http, site.webs[0], person, "count 100 20 database")
    writer = site.writer(sent.answer)
    async with Tab(http, site.others(writer)[0], person, sent.conversation) as tab:
        await tab.until(lambda: len(tab.text(sent.answer)) > 20)
        site.postgresql.stop(signal.SIGINT)
        began = time.monotonic()
        status, said = await asyncio.to_thread(writer.health)
        assert time.monotonic() - began < 1.5
        assert (status, said) == (503, {"database": "unreachable", "redis": "ok"})
        site.postgresql.start()
        await eventually(lambda: writer.health()[0] == 200, 5)
        await tab.until(lambda: tab.is_over(sent.answer))
        assert tab.text(sent.answer) == site.stored(sent.answer) == whole(100)


async def test_several_processes_on_one_port(site, http, person):
    """As ``make run WORKERS=2``: uvicorn starts them, and starts one again that died."""
    web = Web("pair", site.environment | {"WEB_CONCURRENCY": "2"}, site.folder)
    web.start()
    try:
        await asyncio.to_thread(web.wait)
        await eventually(lambda: len(web.children()) == 2)
        sent = await send(http, web, person, "count 150 20 pair")
        async with AsyncExitStack() as stack:
            tabs: list[Tab] = []
            with Redis.from_url(site.redis_url, decode_responses=True) as redis:
                while len(tabs) < 2 or hearing(redis, sent) < 2:  # who accepts a connection is the kernel's choice
                    assert len(tabs) < 50
                    tabs.append(await stack.enter_async_context(Tab(http, web, person, sent.conversation)))
            for tab in tabs:
                await tab.until(lambda tab=tab: tab.is_over(sent.answer))
                assert tab.text(sent.answer) == site.stored(sent.answer) == whole(150)

            victim, survivor = web.children()
            os.kill(victim, signal.SIGKILL)
            await eventually(lambda: len(web.children()) == 2 and victim not in web.children())
            assert survivor in web.children()
            await asyncio.to_thread(web.wait)
            again = await send(http, web, person, "count 10000 20 pair", sent.conversation)
            for tab in tabs:
                await tab.until(lambda tab=tab: len(tab.text(again.answer)) > 20)

            children = web.children()
            assert await asyncio.to_thread(web.stop) < 8
            assert not any(Path(f"/proc/{pid}").exists() for pid in children)
        if site.worker(again.answer) in children:
            assert site.status(again.answer) == ("incomplete", "interrupted")
        else:  # somebody else was quicker
            await cancel(http, site.webs[0], person, again)
        assert whole(10_000).startswith(site.stored(again.answer))
    finally:
        web.stop(signal.SIGTERM)


def hearing(redis: Redis, sent: Sent) -> int:
    """Return how many processes Redis tells what happens in the conversation."""
    names = redis.pubsub_channels(f"chatsite:*:conversation-{sent.conversation}")
    return sum(count for _, count in redis.pubsub_numsub(*names)) if names else 0
