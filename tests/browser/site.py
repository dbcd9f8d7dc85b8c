"""A real server in a folder of its own, and the browser that looks at it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

from filelock import FileLock

ROOT = Path(__file__).resolve().parent.parent.parent
PASSWORD = "correct-horse-battery"


def chromium() -> str | None:
    """Return the path of a Chromium or Chrome; None where Playwright's own is to be used."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("CHROMIUM") or next((path for name in names if (path := shutil.which(name))), None)


def collect_once(shared: Path) -> Path:
    """Return a folder with the static files, made by the first process that asks: compressing takes long."""
    static = shared / "collected" / "static"
    with FileLock(shared / "collected.lock"):
        if not static.parent.exists():
            making = shared / "collecting"
            making.mkdir()
            Site(making).manage("collectstatic", "--noinput", "--verbosity", "0")
            making.rename(static.parent)
    return static


class Site:
    """The site in a folder: set up, started, killed and started again on one port."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.environment = os.environ | {
            "VAR_DIR": str(folder),
            "DJANGO_SETTINGS_MODULE": "tests.browser.settings",
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def set_up(self, static: Path | None = None) -> None:
        """Make the database, and collect the static files or take those that were collected already."""
        self.manage("migrate", "--verbosity", "0")
        self.manage("seed_assistants")
        if static:
            shutil.copytree(static, self.folder / "static")
        else:
            self.manage("collectstatic", "--noinput", "--verbosity", "0")

    def start(self) -> None:
        command = [sys.executable, "-m", "uvicorn", "chatsite.asgi:application", "--port", str(self.port)]
        options = ["--timeout-graceful-shutdown", "10", "--log-level", "warning", "--no-access-log"]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *options], env=self.environment, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/accounts/login/", timeout=5):
                    return
            except (URLError, ConnectionError):
                assert self.process.poll() is None, self.log()
                assert time.monotonic() < deadline, "the server did not start"
                time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM) -> float:
        """End the server by a signal; return the seconds that it took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(30)
        return time.monotonic() - began

    def log(self) -> str:
        return (self.folder / "server.log").read_text()
