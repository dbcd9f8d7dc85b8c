"""What administrators see and do at one process reaches all of them."""

from __future__ import annotations

import asyncio
import json

from tests.processes.site import FOREVER, eventually, send


async def test_the_live_board_shows_the_answers_of_all_processes(site, http, person):
    site.query("UPDATE chat_user SET is_staff = true, is_superuser = true WHERE id = %s", person.pk)
    question = "count 10000 20 watched"
    sent = await send(http, site.webs[0], person, question)
    writer = site.writer(sent.answer)
    watching, acting = site.others(writer)
    async with http.get(f"{watching.url}/live/events/", headers=person.headers, timeout=FOREVER) as stream:
        assert stream.status == 200
        snapshots = read_snapshots(stream)
        seen = await first(snapshots, lambda row: row and row["tokens"] > 10, sent.answer)
        assert seen["worker"].endswith(f":{writer.pid}")
        assert (seen["backend"], seen["stage"], seen["is_queued"]) == ("steady", "writing", False)
        url = f"{acting.url}/admin/live/{sent.answer}/cancel/"
        async with http.post(url, headers=person.headers) as response:
            assert await response.json() == {"said": "The answer was cancelled."}
        assert await eventually(lambda: site.asked(question, "closed") == [writer.pid]) < 3
        await first(snapshots, lambda row: row is None, sent.answer)
    assert site.status(sent.answer)[0] == "cancelled"
    assert site.query("SELECT actor_id FROM chat_auditentry WHERE action = 'generation.cancelled'") == [(person.pk,)]


async def test_who_may_not_watch_any_more_is_sent_away(site, http, person):
    site.query("UPDATE chat_user SET is_staff = true, is_superuser = true WHERE id = %s", person.pk)
    async with http.get(f"{site.webs[0].url}/live/events/", headers=person.headers, timeout=FOREVER) as stream:
        await anext(read_snapshots(stream))
        site.query("UPDATE chat_user SET is_superuser = false WHERE id = %s", person.pk)
        async with asyncio.timeout(10):
            rest = await stream.content.read()
        assert b"stream-error" in rest


async def test_every_process_is_there_and_one_probes(site):
    names = "SELECT count(*) FROM chat_worker WHERE seen_at > now() - interval '15 seconds'"
    await eventually(lambda: site.query(names)[0][0] >= 3)
    probed = "SELECT prober FROM chat_backendstate WHERE alias = 'steady' AND probed_at IS NOT NULL"
    await eventually(lambda: len(site.query(probed)) == 1)
    assert sum(web.health()[0] == 200 for web in site.webs) == 3


async def read_snapshots(stream):
    kind = ""
    async for raw in stream.content:
        name, _, value = raw.decode().rstrip("\n").partition(": ")
        if name == "event":
            kind = value
        elif name == "data" and kind == "live.snapshot":
            yield json.loads(value)


async def first(snapshots, condition, answer):
    """Wait for the first snapshot in which the answer's row (None where it is gone) is as wanted."""
    async with asyncio.timeout(15):
        async for board in snapshots:
            row = next((row for row in board["answers"] if row["id"] == answer), None)
            if condition(row):
                return row
    raise AssertionError("the stream ended")
