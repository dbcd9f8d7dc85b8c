"""SIGTERM: a deploy."""

from __future__ import annotations

import signal
import threading
import time

from tests.crash.counting import counted

GRACE = 1.5


def test_with_twenty_running_answers(start, visit, begin, gate):
    """The short ones end in their grace, the long ones are cut; no page holds the process up."""
    site = start(CHAT_SHUTDOWN_GRACE=str(GRACE), CHAT_HEARTBEAT_INTERVAL="0.3")
    alice = visit(site)
    both, long = gate("both", 50), gate("long", 300)
    pages = [begin(alice, f"count {length} {both.path} {long.path}") for length in (100, 400) * 10]
    for page in pages:
        page.until_shown(50)
    pages[0].retry = 0.01  # it comes back before the door is closed
    opening = threading.Timer(0.2, both.open)
    opening.start()
    assert site.stop(signal.SIGTERM) < GRACE + 4
    opening.join()

    site.start()
    back = time.monotonic()
    for page in pages:
        page.until_over(back + 10 - time.monotonic())
    for page in pages[::2]:
        assert (page.status, page.text) == ("completed", counted(100))
    for page in pages[1::2]:
        page.assert_interrupted()
        assert page.text == counted(300)
    long.open()
    pages[1].go_on()
    pages[1].until_over()
    assert (pages[1].status, pages[1].text) == ("completed", counted(400))
    assert "Traceback" not in site.log(), site.log()


def test_what_waits_is_left_for_the_next_process(start, visit, begin, gate):
    site = start(CHAT_SHUTDOWN_GRACE="0.2", CHAT_HEARTBEAT_INTERVAL="0.3", CHAT_MAX_RUNNING="1")
    alice = visit(site)
    held = gate("held", 20)
    runs, waits = begin(alice, f"count 40 {held.path}"), begin(alice, "count 40")
    runs.until_shown(20)
    site.stop(signal.SIGTERM)
    assert not waits.text
    site.start()
    waits.until_over()
    assert (waits.status, waits.text) == ("completed", counted(40))
    runs.until_over()
    runs.assert_interrupted()
