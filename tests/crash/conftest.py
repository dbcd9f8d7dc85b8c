"""Sites of their own for tests that end them in all ways."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.browser.site import Site
from tests.crash.client import Page, Person
from tests.crash.counting import Gate

PREPARE = "from tests.crash.people import prepare; prepare()"
SECRET_KEY = "not-very-secret" * 4  # a session is good on each of them
QUICK = {"CHAT_HEARTBEAT_INTERVAL": "0.3", "CHAT_SHUTDOWN_GRACE": "0.5"}
"""Settings of a site whose answers, when their process died, are found so after a second."""


class CrashSite(Site):
    """The site with the settings of these tests, and those that a test gives."""

    def __init__(self, folder: Path, **environment: str) -> None:
        super().__init__(folder)
        (folder / "static").mkdir(exist_ok=True)
        self.environment |= {"DJANGO_SETTINGS_MODULE": "tests.crash.settings", "SECRET_KEY": SECRET_KEY, **environment}

    def prepare(self) -> str:
        """Set it up; return the key of Alice's session."""
        return self.manage("shell", "-v", "0", "-c", PREPARE).strip()

    def end(self) -> None:
        """Leave nothing behind that runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> tuple[Path, str]:
    """A folder with a database to make sites from, and the key of Alice's session in it."""
    folder = tmp_path_factory.mktemp("prepared")
    return folder, CrashSite(folder).prepare()


@pytest.fixture
def start(prepared, tmp_path) -> Iterator[Callable[..., CrashSite]]:
    """Start a site with these settings; more than one in a test share the database."""
    folder, _ = prepared
    with ExitStack() as stack:
        shutil.copytree(folder, tmp_path / "site")

        def start_one(**environment: str) -> CrashSite:
            site = CrashSite(tmp_path / "site", **environment)
            stack.callback(site.end)
            site.start()
            return site

        yield start_one


@pytest.fixture
def visit(prepared) -> Iterator[Callable[[CrashSite], Person]]:
    """Let Alice visit a site; the pages that she opens are closed in the end."""
    with ExitStack() as stack:

        class Visitor(Person):
            def opens(self, path: str) -> Page:
                page = super().opens(path)
                stack.callback(page.close)
                return page

        yield lambda site, session=prepared[1]: Visitor(site.port, session)


@pytest.fixture
def gate(tmp_path) -> Callable[..., Gate]:
    """Make a gate that lets answers be written up to a length."""
    return lambda name, length=0: Gate(tmp_path / name, length)


@pytest.fixture
def begin() -> Callable[..., Page]:
    """Ask the first question of a conversation and open its page."""

    def begin_one(person: Person, content: str, **fields: str) -> Page:
        status, answered = person.ask(content, **fields)
        assert status == 201, str(answered)[:200]
        return person.opens(answered["url"])

    return begin_one
