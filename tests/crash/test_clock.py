"""The clock is set, forward and back, while answers are written and while a process dies."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.crash.conftest import QUICK
from tests.crash.counting import counted

FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


class Clock:
    """The time of day that processes see; seconds take as long as ever."""

    def __init__(self, path: Path) -> None:
        assert FAKETIME, "faketime is not installed: apt-get install faketime"
        self.path = path
        self.set(0)
        self.environment = {
            "LD_PRELOAD": str(FAKETIME[0]),
            "FAKETIME_TIMESTAMP_FILE": str(path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # it is for an older libc; with this one, waiting threads spin
            "NO_FAKE_STAT": "1",
        }

    def set(self, hours: int) -> None:
        fresh = self.path.with_suffix(".fresh")
        fresh.write_text(f"{hours:+d}h\n")
        fresh.replace(self.path)


def test_it_is_set_forward_and_back(start, visit, begin, gate, tmp_path):
    """Who lives is not taken for dead, and who is dead is found, whatever the time is."""
    clock = Clock(tmp_path / "clock")
    site = start(CHAT_MAX_RUNNING="1", **QUICK, **clock.environment)
    held = gate("held", 100)
    lives = begin(visit(site), f"count 400 {held.path}")
    lives.until_shown(100)
    for length, hours in ((200, 1), (300, -1)):
        other = start(**QUICK, **clock.environment)
        far = gate(f"far{hours}", 100)
        dies = begin(visit(other), f"count 200 {far.path}")
        dies.until_shown(100)
        clock.set(hours)
        held.let(length)
        lives.until_shown(length)
        dies.until_shown(100)
        other.stop(signal.SIGKILL)
        died = visit(site).opens(dies.path)
        died.until_over()
        died.assert_interrupted()
        assert died.text == counted(100)
    held.open()
    lives.until_over()
    assert (lives.status, lives.text) == ("completed", counted(400))
    died.go_on()
    far.open()
    died.until_over()
    assert (died.status, died.text) == ("completed", counted(200))
