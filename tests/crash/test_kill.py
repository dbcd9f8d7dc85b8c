"""SIGKILL of the web process."""

from __future__ import annotations

import signal
import time
import uuid

from tests.crash.conftest import QUICK
from tests.crash.counting import counted


def test_at_every_point_of_an_answer(start, visit, begin, gate):
    """With the settings as they are: what was acknowledged is answered, what was shown is kept, all within 10 s."""
    site = start(CHAT_MAX_RUNNING="4")
    alice = visit(site)
    first, middle, last = gate("first", 0), gate("middle", 300), gate("last", 200)
    unborn = begin(alice, f"count 50 {first.path}")
    half = begin(alice, f"count 400 {middle.path}")
    whole = begin(alice, f"count 200 {last.path}")
    fast = begin(alice, "count 1500")
    half.until_shown(300)
    whole.until_shown(200)
    fast.until_shown(500)
    key = str(uuid.uuid4())
    status, acknowledged = alice.ask("count 100", key=key)  # no room for it: it waits in the database
    site.stop(signal.SIGKILL)
    assert status == 201

    site.start()
    back = time.monotonic()
    waited = alice.opens(acknowledged["url"])
    for page in (unborn, half, whole, fast, waited):
        page.until_over(back + 10 - time.monotonic())
    assert (waited.status, waited.text) == ("completed", counted(100))
    for page, least in ((unborn, 0), (half, 300), (whole, 200), (fast, 500)):
        page.assert_interrupted()
        assert page.text == counted(len(page.text))
        assert len(page.text) >= least

    status, again = alice.ask("count 100", key=key)
    assert (status, again["messages"]) == (201, acknowledged["messages"])
    for one in (first, middle, last):
        one.open()
    unborn.try_again()
    for page in (half, whole, fast):
        page.go_on()
    for page, length in ((unborn, 50), (half, 400), (whole, 200), (fast, 1500), (waited, 100)):
        page.until_over()
        assert (page.status, page.text) == ("completed", counted(length))
        assert [message["role"] for message in page.stored] == ["user", "assistant"]
    assert "Traceback" not in site.log(), site.log()


def test_again_and_again(start, visit, begin):
    """An answer that is continued each time is whole in the end."""
    site = start(**QUICK)
    page = begin(visit(site), "count 1800")
    for length in (300, 900):
        page.until_shown(length)
        site.stop(signal.SIGKILL)
        site.start()
        page.until_over()
        page.assert_interrupted()
        page.go_on()
    page.until_over()
    assert (page.status, page.text) == ("completed", counted(1800))
