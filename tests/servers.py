"""PostgreSQL and Redis of a test's own: started on a free port in a folder, stopped by their process."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

START_SECONDS = 30


class Server:
    """A program that listens on one port, and can be stopped, killed and started again there."""

    def __init__(self, command: list[str], port: int, *, user: str | None = None, log: Path) -> None:
        self.port = port
        self._command, self._user, self._log = command, user, log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, user=self._user, cwd="/", stdout=log, stderr=subprocess.STDOUT
            )
        _wait(lambda: _listens(self.port), self._log)

    def send(self, number: int) -> None:
        """Send a signal, such as SIGSTOP: then it hangs."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(20)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()


@contextmanager
def postgresql() -> Iterator[tuple[Server, str]]:
    """A PostgreSQL server, empty, and the ``DATABASE_URL`` of it.

    What is written survives a stop of the server, but not of the machine: nothing waits for the disk.
    """
    binaries = _postgresql_binaries()
    # The server refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    with _folder("chatsite-postgresql-", user) as folder:
        data = folder / "data"
        options = ["--username=chatsite", "--auth=trust", "--encoding=UTF8", "--no-sync", "--no-instructions"]
        subprocess.run([binaries / "initdb", *options, data], user=user, cwd="/", check=True, capture_output=True)
        port = free_port()
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": 100,
            "lock_timeout": "20s",  # a test fails rather than hang
        }
        command = [str(binaries / "postgres"), "-D", str(data)]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        server = Server(command, port, user=user, log=folder / "log")
        server.start()
        try:
            yield server, f"postgres://chatsite@127.0.0.1:{port}/postgres"
        finally:
            server.stop(signal.SIGINT)  # a fast shutdown: it does not wait for those who are connected


@contextmanager
def redis() -> Iterator[tuple[Server, str]]:
    """A Redis server that keeps nothing on disk, and the ``REDIS_URL`` of it."""
    binary = shutil.which("redis-server")
    assert binary, "redis-server is not installed: apt-get install redis-server"
    with _folder("chatsite-redis-") as folder:
        port = free_port()
        command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        server = Server(command, port, log=folder / "log")
        server.start()
        try:
            yield server, f"redis://127.0.0.1:{port}/0"
        finally:
            server.stop()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def _folder(prefix: str, user: str | None = None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        if user is not None:
            shutil.chown(name, user)
        yield Path(name)


def _postgresql_binaries() -> Path:
    """Return the newest server's folder, where the path or Debian has it."""
    if found := shutil.which("postgres"):
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    assert folders, "PostgreSQL is not installed: apt-get install postgresql"
    return folders[-1]


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _wait(condition: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
