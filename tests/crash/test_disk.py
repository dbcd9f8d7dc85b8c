"""The disk is full, and has room again."""

from __future__ import annotations

import html
import resource
import signal
import time
import uuid

from tests.crash.conftest import QUICK, CrashSite
from tests.crash.counting import counted


class Disk:
    """What a site can write to its files: the kernel refuses more than that, in the middle of a transaction."""

    def __init__(self, site: CrashSite) -> None:
        self.site = site

    def fill(self) -> None:
        self._allow(0)

    def empty(self) -> None:
        self._allow(resource.RLIM_INFINITY)

    def _allow(self, size: int) -> None:
        assert self.site.process is not None
        resource.prlimit(self.site.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_in_mid_answer(start, visit, begin, gate):
    """What cannot be stored is not shown, and not lost; it is stored when there is room."""
    site = start(**QUICK)
    disk, alice = Disk(site), visit(site)
    held = gate("held", 200)
    short, long = (begin(alice, f"count {length} {held.path}") for length in (300, 2000))
    for page in (short, long):
        page.until_shown(200)
    disk.fill()
    held.open()
    for _ in range(5):
        assert alice.get(long.path)[0] == 200
        assert (short.text, long.text) == (counted(200), counted(200))
        time.sleep(0.1)
    disk.empty()
    for page, length in ((short, 300), (long, 2000)):
        page.until_over()
        assert (page.status, page.text) == ("completed", counted(length))


def test_who_sends_a_message_keeps_it(start, visit, begin):
    site = start(**QUICK)
    disk, alice = Disk(site), visit(site)
    page = begin(alice, "count 10")
    page.until_over()
    form = {"content": "count 20 <b>&", "key": str(uuid.uuid4()), "assistant": "counting"}
    disk.fill()
    status, answered = alice.post(f"{page.path}messages/", **form)
    assert status == 503
    assert "Your message is kept here" in answered["errors"]["__all__"][0]
    status, answered = alice.post(f"{page.path}messages/", wants="text/html", **form)
    assert status == 503
    assert "Your message is kept here" in answered
    assert f"{html.escape(form['content'])}</textarea>" in answered
    assert form["key"] in answered
    disk.empty()
    for _ in range(2):  # a message is the same however often it is sent
        assert alice.post(f"{page.path}messages/", wants="text/html", **form)[0] == 302
    page.until_turns(4)
    page.until_over()
    assert [message["text"] for message in page.stored] == ["count 10", counted(10), form["content"], counted(20)]


def test_it_is_killed_meanwhile(start, visit, begin, gate):
    site = start(**QUICK)
    held = gate("held", 200)
    page = begin(visit(site), f"count 300 {held.path}")
    page.until_shown(200)
    Disk(site).fill()
    held.open()
    site.stop(signal.SIGKILL)
    site.start()
    page.until_over()
    page.assert_interrupted()
    page.go_on()
    page.until_over()
    assert (page.status, page.text) == ("completed", counted(300))
