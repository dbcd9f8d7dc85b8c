"""The site as several processes: PostgreSQL, Redis, uvicorn; and what a person has open in a browser."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import aiohttp
import psycopg

from tests.patience import until
from tests.processes.backends import LOG
from tests.protocol.reader import Reader
from tests.servers import Server, free_port

ROOT = Path(__file__).resolve().parent.parent.parent
TOKEN = "t" * 32
START_SECONDS = 60
FOREVER = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)
"""A stream has no end, but says something every 20 seconds."""


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in, in whatever process."""

    pk: int
    session: str

    @property
    def headers(self) -> dict[str, str]:
        cookies = f"sessionid={self.session}; csrftoken={TOKEN}"
        return {"Cookie": cookies, "X-CSRFToken": TOKEN, "Accept": "application/json"}


class Web:
    """One uvicorn, with one process or with several."""

    def __init__(self, name: str, environment: dict[str, str], folder: Path, *options: str) -> None:
        self.name, self.port, self.log = name, free_port(), folder / f"{name}.log"
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment, self._options = environment, options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        command = [sys.executable, "-m", "uvicorn", "chatsite.asgi:application", "--port", str(self.port)]
        options = ["--timeout-graceful-shutdown", "10", "--no-access-log", "--log-level", "warning", *self._options]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *options], env=self._environment, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
            )

    def wait(self) -> None:
        """Wait until it serves, and hears of the others."""
        until(lambda: not self.is_running or self.health()[1].get("redis") in {"ok", "off"}, START_SECONDS)
        assert self.is_running, self.log.read_text()

    def stop(self, number: int = signal.SIGTERM) -> float:
        """End it by a signal; return the seconds that it took."""
        began = time.monotonic()
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None
        return time.monotonic() - began

    def health(self) -> tuple[int, dict[str, str]]:
        """Return what /healthz says: 0 and nothing where nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as response:
                return response.status, json.load(response)
        except HTTPError as error:
            return error.code, json.load(error)
        except (URLError, ConnectionError, TimeoutError):
            return 0, {}

    def children(self) -> list[int]:
        """Return the ids of the processes that serve, where it has several."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with suppress(OSError):
                    words = (entry / "cmdline").read_bytes()
                    parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                    if int(parent) == self.pid and b"spawn_main" in words:
                        found.append(int(entry.name))
        return sorted(found)


@dataclass
class Site:
    """The processes of one site, behind no balancer: a test chooses where it goes."""

    folder: Path
    database_url: str
    postgresql: Server
    redis_url: str
    redis: Server
    webs: list[Web] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    may_complain: bool = False
    _read: dict[str, int] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "VAR_DIR": str(self.folder),
            "DJANGO_SETTINGS_MODULE": "tests.processes.settings",
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "CHAT_HEARTBEAT_INTERVAL": "1",
            "CHAT_MAX_RUNNING": "10",
            "CHAT_SHUTDOWN_GRACE": "1",
        }

    def set_up(self, people: int) -> None:
        self._run("manage.py", "migrate", "--verbosity", "0")
        rows = json.loads(self._run("-m", "tests.processes.people", str(people)))
        self.people = [Person(**row) for row in rows]

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def add_webs(self, names: str) -> None:
        self.webs += [Web(name, self.environment, self.folder) for name in names]
        self.mend()

    def mend(self) -> None:
        """Start what a test killed."""
        dead = [web for web in self.webs if not web.is_running]
        for web in dead:
            web.start()
        for web in dead:
            web.wait()

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(sql, values)
            return cursor.fetchall() if cursor.description else []

    def stored(self, message: int) -> str:
        """Return the text of a message as the database has it, pieces included."""
        (text,) = self.query("SELECT content FROM chat_message WHERE id = %s", message)[0]
        pieces = self.query("SELECT text FROM chat_draftpiece WHERE message_id = %s ORDER BY id", message)
        return "".join([text, *(piece for (piece,) in pieces)])

    def status(self, message: int) -> tuple[str, str]:
        sql = "SELECT status, finish_reason FROM chat_generation WHERE message_id = %s"
        status, reason = self.query(sql, message)[0]
        return status, reason

    def worker(self, message: int) -> int:
        """Return the process that writes an answer; 0 while there is none."""
        (worker,) = self.query("SELECT worker FROM chat_generation WHERE message_id = %s", message)[0]
        return int(worker.split(":")[1]) if worker else 0

    def writer(self, message: int) -> Web:
        """Return who writes an answer: most often who was asked, but any process may have been quicker."""
        until(lambda: self.worker(message))
        pid = self.worker(message)
        return next(web for web in self.webs if web.pid == pid)

    def others(self, *webs: Web) -> list[Web]:
        return [web for web in self.webs if web not in webs]

    def asked(self, question: str, what: str = "opened") -> list[int]:
        """Return the processes that asked the backend this, or that closed its stream."""
        path = self.folder / LOG
        lines = [line.split(" ", 2) for line in path.read_text().splitlines()] if path.exists() else []
        return [int(pid) for done, pid, of in lines if (done, of) == (what, question)]

    def new_log(self) -> str:
        """Return what the processes have logged since this was asked last."""
        said = ""
        for path in sorted(self.folder.glob("*.log")):
            if path.name != LOG:
                text = path.read_text()
                said += text[self._read.get(path.name, 0) :]
                self._read[path.name] = len(text)
        return said


class Tab:
    """A page: a snapshot, an event stream, and the rules of docs/streaming.md. It comes back by itself."""

    def __init__(self, http: aiohttp.ClientSession, web: Web, person: Person, conversation: str) -> None:
        self._http, self._headers = http, person.headers
        self._base = f"{web.url}/c/{conversation}"
        self.reader = Reader()
        self.heard: list[tuple[str, Any]] = []
        self.history: list[str] = []
        """The text of the newest message after each event that changed it."""
        self.last_event_id = ""
        self.is_sent_away = False
        self.openings = self.snapshots = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()

    async def __aenter__(self) -> Tab:
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._keep_up())]
        await self.until(lambda: self.openings)
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.heard]

    def text(self, message: int) -> str:
        return self.reader.texts.get(message, "")

    def is_over(self, message: int) -> bool:
        return message in self.reader.known and self.reader.known[message].is_over and not self.reader.needs_snapshot

    async def until(self, condition: Callable[[], Any], seconds: float = 15) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    if failed := [task for task in self._tasks if task.done()]:
                        failed[0].result()
                    self._news.clear()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._news.wait(), 0.1)
        except TimeoutError:
            raise AssertionError(f"it did not happen; heard {self.heard[-5:]}, shows {self.reader.texts}") from None

    async def _listen(self) -> None:
        first = await self._snapshot()
        url = f"{self._base}/events/"
        params = {"lastEventId": first or ""}
        while not self.is_sent_away:
            headers = self._headers | ({"Last-Event-ID": self.last_event_id} if self.last_event_id else {})
            with suppress(aiohttp.ClientError, ConnectionError):
                async with self._http.get(url, params=params, headers=headers, timeout=FOREVER) as stream:
                    if stream.status == 200:
                        await self._read(stream)
                    else:
                        self.is_sent_away |= stream.status in {204, 404}
            await asyncio.sleep(0.1)

    async def _read(self, stream: aiohttp.ClientResponse) -> None:
        kind, data = "", ""
        async for raw in stream.content:
            name, _, value = raw.decode().rstrip("\n").partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                kind = value
            elif name == "data":
                data += value
            elif name == "id":
                self.last_event_id = value
            elif not name and not raw.startswith(b":"):
                if kind:
                    self._hear(kind, json.loads(data) if data else None)
                kind, data = "", ""

    def _hear(self, kind: str, data: Any) -> None:
        self.openings += kind == "stream-open"
        if kind not in {"keep-alive", "stream-open"}:
            self.heard.append((kind, data))
        self.is_sent_away |= kind == "stream-error"
        self.reader.hear(kind, data)
        self._note()

    def _note(self) -> None:
        newest = self.text(max(self.reader.branch)) if self.reader.branch else ""
        if self.history[-1:] != [newest]:
            self.history.append(newest)
        self._news.set()

    async def _keep_up(self) -> None:
        """Fetch the snapshot while it is needed."""
        while True:
            if self.openings and self.reader.needs_snapshot:
                await self._snapshot()
            await asyncio.sleep(0.05)

    async def _snapshot(self) -> str | None:
        asked_at = self.reader.ask()
        with suppress(aiohttp.ClientError, ConnectionError):
            async with self._http.get(f"{self._base}/messages/", headers=self._headers) as response:
                if response.status == 200:
                    snapshot = await response.json()
                    self.snapshots += 1
                    self.reader.take(snapshot["messages"], asked_at)
                    self._note()
                    return str(snapshot["event_id"])
        self.reader.fail()
        return None


@dataclass(frozen=True)
class Sent:
    """A question that was stored, and its answer."""

    conversation: str
    question: int
    answer: int


async def send(
    http: aiohttp.ClientSession, web: Web, person: Person, content: str, conversation: str | None = None
) -> Sent:
    """Send a message as the page does."""
    form = {"content": content, "key": str(uuid.uuid4()), "assistant": "steady"}
    path = f"/c/{conversation}/messages/" if conversation else "/"
    async with http.post(f"{web.url}{path}", data=form, headers=person.headers) as response:
        assert response.status == 201, await response.text()
        data = await response.json()
        return Sent(data["url"].split("/")[2], *data["messages"])


async def cancel(http: aiohttp.ClientSession, web: Web, person: Person, sent: Sent) -> None:
    url = f"{web.url}/c/{sent.conversation}/messages/{sent.answer}/cancel/"
    async with http.post(url, headers=person.headers) as response:
        assert response.status == 204, await response.text()


async def eventually(condition: Callable[[], Any], seconds: float = 15) -> float:
    """Wait for what happens elsewhere; return how many seconds it took."""
    began = time.monotonic()
    await asyncio.to_thread(until, condition, seconds)
    return time.monotonic() - began


def are_prefixes(texts: Iterable[str], whole: str) -> bool:
    """Tell whether each is the beginning of the whole, and each one longer than the one before."""
    texts = list(texts)
    return all(whole.startswith(text) for text in texts) and [*map(len, texts)] == sorted(map(len, texts))
