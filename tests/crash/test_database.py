"""The database goes away and comes back, or is busy."""

from __future__ import annotations

import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from tests.crash.client import Person
from tests.crash.conftest import QUICK, CrashSite
from tests.crash.counting import counted
from tests.servers import postgresql


@pytest.fixture(scope="module")
def prepared_database(tmp_path_factory):
    with postgresql() as (server, url):
        yield server, url, CrashSite(tmp_path_factory.mktemp("prepared"), DATABASE_URL=url).prepare()


@pytest.fixture
def database(prepared_database):
    """A server that runs, the URL of its database, and the key of Alice's session there."""
    server = prepared_database[0]
    if server._process is None:
        server.start()
    return prepared_database


def statuses(person: Person, path: str) -> set[int]:
    """Return what many requests at the same moment are answered, of which each has a connection of its own."""
    with ThreadPoolExecutor(10) as threads:
        return {status for status, _ in threads.map(person.get, [path] * 10)}


def test_it_is_restarted_in_mid_answer(database, start, visit, begin, gate):
    """Answers go on, in every process, and every page finds what it missed."""
    server, url, session = database
    site, other = start(DATABASE_URL=url, **QUICK), start(DATABASE_URL=url, **QUICK)
    alice = visit(site, session)
    held = gate("held", 200)
    running, stopped = begin(alice, "count 4500"), begin(alice, f"count 300 {held.path}")
    running.until_shown(200)
    stopped.until_shown(200)
    assert statuses(alice, running.path) == {200}
    server.stop(signal.SIGINT)
    server.start()
    length = len(running.text)
    running.until_shown(length + 200)

    server.stop(signal.SIGQUIT)  # as if it had crashed
    status, answered = alice.ask("count 10")
    assert status == 503, answered
    time.sleep(3)  # longer than it takes to call a silent process dead
    server.start()
    back = time.monotonic()
    running.until_shown(len(running.text) + 1)
    held.open()
    stopped.until_over(back + 10 - time.monotonic())
    running.until_over()
    for page, expected in ((stopped, 300), (running, 4500)):
        assert (page.status, page.text) == ("completed", counted(expected))
    for process in (site, other):
        assert statuses(visit(process, session), running.path) == {200}
    stopped.ask("count 20")
    stopped.until_over()
    assert stopped.text == counted(20)


def test_it_is_restarted_while_nothing_happens(database, start, visit, begin):
    server, url, session = database
    alice = visit(start(DATABASE_URL=url), session)
    page = begin(alice, "count 10")
    page.until_over()
    server.stop(signal.SIGINT)
    server.start()
    page.ask("count 20")
    page.until_over()
    assert page.text == counted(20)


def test_a_deploy_while_it_is_away(database, start, visit, begin, gate):
    """Nothing can be stored, and nothing waits for it for ever; the next process ends what was left."""
    server, url, session = database
    site = start(DATABASE_URL=url, **QUICK)
    held = gate("held", 100)
    page = begin(visit(site, session), f"count 200 {held.path}")
    page.until_shown(100)
    server.stop(signal.SIGINT)
    held.let(150)
    assert site.stop(signal.SIGTERM) < 8
    server.start()
    site.start()
    page.until_over()
    page.assert_interrupted()
    held.open()
    page.go_on()
    page.until_over()
    assert (page.status, page.text) == ("completed", counted(200))


def test_a_write_that_waits_holds_up_no_page(start, visit, begin, gate, tmp_path):
    """Somebody else writes to SQLite for long, a backup for instance."""
    site = start(**QUICK)
    alice = visit(site)
    held = gate("held", 100)
    page = begin(alice, f"count 300 {held.path}")
    page.until_shown(100)
    with closing(sqlite3.connect(tmp_path / "site" / "db.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        held.open()
        time.sleep(0.1)
        began = time.monotonic()
        for path in ("/", page.path, f"{page.path}messages/"):
            assert alice.get(path)[0] == 200
        opened = alice.opens(page.path)
        assert time.monotonic() - began < 3
        assert page.text == opened.text == counted(100)
        other.execute("ROLLBACK")
    page.until_over()
    assert (page.status, page.text) == ("completed", counted(300))
