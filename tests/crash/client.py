"""A browser without a browser: Alice's session, and pages that stay open whatever happens to the site."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlencode

from tests.patience import until
from tests.protocol.eventsource import EventSource
from tests.protocol.reader import Reader

TIMEOUT = 15
TOKEN = "t" * 32


class Person:
    """Somebody who is signed in."""

    def __init__(self, port: int, session: str) -> None:
        self.port = port
        self.headers = {"Cookie": f"sessionid={session}; csrftoken={TOKEN}", "X-CSRFToken": TOKEN}

    def request(self, method: str, path: str, body: str | None = None, *, wants: str) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        headers = {**self.headers, "Accept": wants, "Content-Type": "application/x-www-form-urlencoded"}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, str]:
        return self.request("GET", path, wants="text/html")

    def post(self, path: str, *, wants: str = "application/json", **form: str) -> tuple[int, Any]:
        """Return the status and what was answered: JSON, unless a page is wanted."""
        status, text = self.request("POST", path, urlencode(form), wants=wants)
        return status, json.loads(text) if wants.endswith("json") and text.startswith("{") else text

    def ask(self, content: str, path: str = "/", *, assistant: str = "counting", key: str = "") -> tuple[int, Any]:
        """Send a message, as a new conversation where no other path is given."""
        return self.post(path, content=content, assistant=assistant, key=key or str(uuid.uuid4()))

    def opens(self, path: str) -> Page:
        return Page(self, path)


class Page:
    """An open page of a conversation: docs/streaming.md's reader on real connections, which watches what it shows."""

    def __init__(self, person: Person, path: str) -> None:
        self.person, self.path = person, path
        self.reader = Reader()
        self.retry = 0.1
        """Seconds after which it comes back; a browser takes one, and would not see what goes wrong in that."""
        self.statuses: list[int] = []
        """What requests for snapshots and the stream were answered."""
        self.complaints: list[str] = []
        self._shown: dict[int, str] = {}
        self._source = EventSource()
        self._lock = threading.Lock()
        self._is_closed = threading.Event()
        self._connection: HTTPConnection | None = None
        self._fetch()
        self._threads = [threading.Thread(target=self._listen), threading.Thread(target=self._catch_up)]
        for thread in self._threads:
            thread.start()
        until(lambda: self.reader.is_open or self._is_closed.is_set())

    # What a test asks.

    @property
    def answer(self) -> int:
        return self.reader.branch[-1]

    @property
    def text(self) -> str:
        """Return what is shown of the newest answer."""
        return self._shown.get(self.answer, "")

    @property
    def is_over(self) -> bool:
        with self._lock:
            return not self.reader.needs_snapshot and not self.reader.running

    def until_shown(self, length: int) -> None:
        self._until(lambda: len(self.text) >= length)

    def until_turns(self, count: int) -> None:
        self._until(lambda: len(self.reader.branch) == count)

    def until_over(self, seconds: float = 10) -> None:
        """Wait until the newest answer is over; every promise must hold then."""
        self._until(lambda: self.is_over, seconds)
        self.check()

    def _until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        try:
            until(condition, seconds)
        except AssertionError:
            state = {message: vars(text) for message, text in self.reader.known.items()}
            raise AssertionError(f"{self.path}: {state} {self.statuses[-5:]} {self.complaints}") from None

    def check(self) -> None:
        """What was shown is stored, once and in full; nothing that was ever shown has gone."""
        assert not self.complaints
        stored = {message["id"]: message["text"] for message in self.stored}
        assert self.reader.texts == stored
        assert self.reader.texts == {message: self._shown.get(message, "") for message in self.reader.branch}
        assert all(stored.get(message, text).startswith(text) for message, text in self._shown.items())

    @property
    def stored(self) -> list[dict[str, Any]]:
        status, text = self.person.request("GET", f"{self.path}messages/", wants="application/json")
        assert status == 200, text[:200]
        return json.loads(text)["messages"]

    @property
    def status(self) -> str:
        return self.stored[-1]["status"]

    @property
    def turn(self) -> str:
        """Return the newest answer as the server renders it now."""
        status, html = self.person.get(f"{self.path}messages/{self.answer}/")
        assert status == 200, html[:200]
        return html

    def assert_interrupted(self) -> None:
        """The page says so, and offers to go on."""
        assert 'data-status="incomplete"' in self.turn
        assert "The answer was interrupted." in self.turn
        assert "aria-busy" not in self.turn
        assert re.search(r"Continue|Try again", self.turn)

    # What a person does.

    def go_on(self) -> None:
        """Press Continue."""
        assert "/continue/" in self.turn
        status, answered = self.person.post(f"{self.path}messages/{self.answer}/continue/")
        assert status == 201, str(answered)[:200]
        with self._lock:  # a page shows what the answer to its request says: it is being written
            self.reader.hear("message.continued", {"message": self.answer})

    def ask(self, content: str, **fields: str) -> None:
        before = self.answer
        status, answered = self.person.ask(content, f"{self.path}messages/", **fields)
        assert status == 201, str(answered)[:200]
        self._until(lambda: self.answer != before)

    def try_again(self) -> None:
        before = self.answer
        status, answered = self.person.post(f"{self.path}messages/{self.answer}/regenerate/")
        assert status == 201, str(answered)[:200]
        self._until(lambda: self.answer != before)

    def close(self) -> None:
        self._is_closed.set()
        with suppress(OSError):
            if self._connection is not None and self._connection.sock is not None:
                self._connection.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(TIMEOUT)
            assert not thread.is_alive()

    # What a page does by itself.

    def _listen(self) -> None:
        """Read the stream, and come back when it ends."""
        while not self._is_closed.is_set():
            self._source.reconnect()
            with suppress(OSError, HTTPException):
                self._read()
            self._is_closed.wait(self.retry)

    def _read(self) -> None:
        connection = self._connection = HTTPConnection("127.0.0.1", self.person.port, timeout=30)
        try:
            headers = {**self.person.headers, "Last-Event-ID": self._source.last_event_id}
            connection.request("GET", f"{self.path}events/", headers=headers)
            response = connection.getresponse()
            self.statuses.append(response.status)
            if response.status == 200:
                self._hear(response)
        finally:
            connection.close()

    def _hear(self, response: HTTPResponse) -> None:
        while not self._is_closed.is_set() and (chunk := response.read1()):
            with self._lock:
                for heard in self._source.feed(chunk):
                    self.reader.hear(heard.event, heard.json)
                self._look()

    def _catch_up(self) -> None:
        """Fetch the snapshot for as long as one is needed."""
        while not self._is_closed.wait(0.05):
            if self.reader.needs_snapshot:
                self._fetch()

    def _fetch(self) -> None:
        with self._lock:
            asked_at = self.reader.ask()
        try:
            status, text = self.person.request("GET", f"{self.path}messages/", wants="application/json")
        except (OSError, HTTPException):
            status, text = 0, ""
        with self._lock:
            self.statuses.append(status)
            if status != 200:
                self.reader.fail()
                return
            snapshot = json.loads(text)
            self._source.last_event_id = self._source.last_event_id or snapshot["event_id"]
            self.reader.take(snapshot["messages"], asked_at)
            self._look()

    def _look(self) -> None:
        """Remember what is shown now. It may become more, never less and never something else."""
        for message, text in self.reader.texts.items():
            before = self._shown.get(message, "")
            if not text.startswith(before):
                self.complaints.append(f"{time.monotonic()}: {message} was {before!r} and is {text!r}")
            self._shown[message] = text
