"""The tests that a database decides, on PostgreSQL: rows are locked there, and writers do not wait for each other."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.processes.site import ROOT

FILES = ["test_generation", "test_queue", "test_races", "test_runner", "test_search", "test_quotas", "test_audit"]
FILES += ["test_versions", "test_assistant_form", "test_rehearsals"]
FILES += ["test_rollups", "test_overview", "test_usage_page", "test_prices"]
FILES += ["test_retention", "test_holds", "test_moderating"]
CHOSEN = "TestClaim or TestEnd or test_runner or cancel or claims or reaped or two_tabs or stored_before or at_once"
CHOSEN += " or test_search or TestWork or test_rollups or test_overview or test_usage_page or test_prices"
CHOSEN += " or test_retention or test_holds or test_moderating"


def test_it_works(postgresql):
    _, url = postgresql
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.processes.plugin"]
    # One that hangs says where, and ends.
    command += ["-o", "faulthandler_timeout=30", "-o", "faulthandler_exit_on_timeout=true"]
    files = [f"tests/chat/{name}.py" for name in FILES]
    environment = os.environ | {"TEST_DATABASE_URL": url}
    done = subprocess.run(
        [*command, "-k", CHOSEN, *files], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 100
