"""Start the servers, each on its cores and a free port of the loopback; stop each by its process id."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.streaming.plan import WAYS, Job, Way
from bench.streaming.process import cores_for

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60
STOP_SECONDS = 20

Person = tuple[str, str]
"""A session, and the conversation of its user."""


class ServerFailed(Exception):
    """A server did not start, or a command failed."""


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs."""

    port: int
    pid: int


@dataclass(frozen=True, slots=True)
class Setting:
    """All that a scenario has to do with."""

    server: Server
    upstream: Server | None
    people: list[Person]
    cores: Sequence[int]
    """Those of the server."""


class Stage:
    """The folder in which the servers keep their data; each site begins with a copy of the same people."""

    def __init__(self, folder: Path, people: int) -> None:
        self._folder = folder
        self._count = people
        self._people: dict[bool, list[Person]] = {}

    def last_words(self) -> str:
        """Return the last line that the newest server wrote."""
        log = self._folder / "now" / "server.log"
        return _last_words(log.read_text(errors="replace")) if log.exists() else "it never started"

    @contextmanager
    def setting(self, job: Job) -> Iterator[Setting]:
        """Start what the job needs, and stop it."""
        way = WAYS[job.way]
        people = self._people_for(way) if way.kind == "site" else []
        cores, others = cores_for(job.workers)
        folder = self._folder / "now"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._template(way), folder) if people else folder.mkdir()
        with self._upstream(way, others) as upstream:
            env = _environment(way, folder)
            if upstream:
                env["BENCH_UPSTREAM"] = f"http://127.0.0.1:{upstream.port}/v1"
            with _running(_command(way, job.workers), env, cores, folder / "server.log") as server:
                yield Setting(server, upstream, people, cores)

    def _template(self, way: Way) -> Path:
        return self._folder / ("shared" if way.is_shared else "own")

    def _people_for(self, way: Way) -> list[Person]:
        if way.is_shared not in self._people:
            folder = self._template(way)
            (folder / "static").mkdir(parents=True, exist_ok=True)
            command = [sys.executable, "-m", "bench.streaming.people", str(self._count)]
            done = subprocess.run(
                command, cwd=ROOT, env=_environment(way, folder), capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise ServerFailed(_last_words(done.stderr))
            self._people[way.is_shared] = [(session, place) for session, place in json.loads(done.stdout)]
        return self._people[way.is_shared]

    @contextmanager
    def _upstream(self, way: Way, cores: Sequence[int]) -> Iterator[Server | None]:
        if not way.asks_upstream:
            yield None
            return
        command = [sys.executable, "-m", "bench.streaming.ways.upstream", "{port}"]
        with _running(command, dict(os.environ), cores, self._folder / "upstream.log") as upstream:
            yield upstream


def _environment(way: Way, folder: Path) -> dict[str, str]:
    """Return an environment in which nothing is configured but what is measured."""
    dropped = ["OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTPS", "DEBUG"]
    dropped += [] if way.is_shared else ["DATABASE_URL", "REDIS_URL"]
    env = {name: value for name, value in os.environ.items() if name not in dropped}
    return env | {"VAR_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "bench.streaming.settings"}


def _command(way: Way, workers: int) -> list[str]:
    if way.kind == "seed":
        return [sys.executable, "-m", "bench.streaming.ways.seed", "{port}"]
    app = "chatsite.asgi:application" if way.kind == "site" else "bench.streaming.ways.bare:application"
    command = [sys.executable, "-m", "uvicorn", app, "--port", "{port}", "--log-level", "error", "--no-access-log"]
    command += ["--timeout-graceful-shutdown", "3"]
    return command + (["--workers", str(workers)] if workers > 1 else [])


@contextmanager
def _running(command: Sequence[str], env: dict[str, str], cores: Sequence[int], log: Path) -> Iterator[Server]:
    port = _free_port()
    line = [part.format(port=port) for part in command]
    with log.open("wb") as output:
        process = subprocess.Popen(
            line,
            cwd=ROOT,
            env=env,
            stdout=output,
            stderr=output,
            preexec_fn=partial(os.sched_setaffinity, 0, cores),
        )
    try:
        _wait_for(port, process, log)
        yield Server(port, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        except OSError:
            time.sleep(0.05)
    raise ServerFailed(f"did not start: {_last_words(log.read_text())}")


def _last_words(text: str) -> str:
    return next((line.strip()[:300] for line in reversed(text.splitlines()) if line.strip()), "it said nothing")
