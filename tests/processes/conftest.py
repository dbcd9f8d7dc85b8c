"""One site of three processes for all tests here; what a test kills is started again after it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import pytest

from tests import servers
from tests.processes.site import Person, Site


@pytest.fixture(scope="session")
def postgresql() -> Iterator[tuple[servers.Server, str]]:
    with servers.postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def _site(postgresql: tuple[servers.Server, str]) -> Iterator[Site]:
    server, database_url = postgresql
    with servers.redis() as (redis, redis_url), TemporaryDirectory(prefix="chatsite-processes-") as name:
        folder = Path(name)
        site = Site(folder, database_url, server, redis_url, redis)
        site.set_up(people=40)
        try:
            site.add_webs("abc")
            yield site
        finally:
            for web in site.webs:
                web.stop()


@pytest.fixture
def site(_site: Site) -> Iterator[Site]:
    """The site, whole; its log has no error afterwards, but where a test says that it may have."""
    _site.new_log()
    yield _site
    _site.mend()
    said = _site.new_log()
    if _site.may_complain:
        _site.may_complain = False
        return
    assert "Traceback" not in said, said
    assert "ERROR" not in said, said


@pytest.fixture
def person(site: Site) -> Person:
    """Somebody who has nothing yet."""
    return site.people.pop()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=30)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), connector=connector) as http:
        yield http
