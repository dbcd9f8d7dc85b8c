"""fetch_model against hubs on the loopback. Each runs in a process of its own: the hub's address is read at import."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from backends.exceptions import BackendMisconfigured, ModelNotFound
from backends.transformers.fetch import find_model, is_path

ROOT = Path(__file__).parents[2]
FETCH = """
import sys
from backends.exceptions import ChatBackendError
from backends.transformers import fetch
fetch.CONNECT_SECONDS = fetch.SILENCE_SECONDS = 1
try:
    print(fetch.fetch_model(sys.argv[1]))
except ChatBackendError as error:
    print(error.code, error, error.hint)
"""


def fetch(model: str, endpoint: str, home: Path) -> str:
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", FETCH, model],
        cwd=ROOT,
        env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"},
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    ).stdout.strip()


class Hub(BaseHTTPRequestHandler):
    """As much of a hub as one download asks for."""

    commit = "0123456789abcdef0123456789abcdef01234567"
    files = {"config.json": b'{"model_type": "gpt2"}', "model.safetensors": b"weights", "pytorch_model.bin": b"code"}

    def do_GET(self):
        self._answer()

    def do_HEAD(self):
        self._answer()

    def _answer(self):
        path = self.path.partition("?")[0]
        if "/api/models/owner/tiny/tree/" in path:
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": f"{len(data):040x}"}
                for name, data in self.files.items()
            ]
            self._send(json.dumps(tree).encode(), "application/json")
        elif path.startswith("/api/models/owner/tiny"):
            self._send(json.dumps({"id": "owner/tiny", "sha": self.commit}).encode(), "application/json")
        elif path.startswith("/owner/tiny/resolve/"):
            name = path.rpartition("/")[2]
            self._send(self.files[name], "application/octet-stream")
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _send(self, body, type_):
        self.send_response(200)
        self.send_header("Content-Type", type_)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{len(body):040x}"')
        self.send_header("X-Repo-Commit", self.commit)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub():
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_it_works(hub, tmp_path):
    folder = Path(fetch("owner/tiny", hub, tmp_path))
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors"}  # nothing that runs code
    # The engine finds it without asking anybody.
    script = "from backends.transformers.fetch import find_model; print(find_model('owner/tiny'))"
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert Path(found.stdout.strip()) == folder


def test_a_model_that_the_hub_does_not_have(hub, tmp_path):
    assert fetch("owner/other", hub, tmp_path).startswith("model_not_found")


def test_a_name_that_is_none(hub, tmp_path):
    assert fetch("not a name!", hub, tmp_path).startswith("model_not_found")


def test_a_hub_that_refuses(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        started_at = time.monotonic()
        said = fetch("owner/tiny", f"http://127.0.0.1:{unused.getsockname()[1]}", tmp_path)
    assert said.startswith("backend_unavailable 'owner/tiny' could not be fetched")
    assert "Traceback" not in said
    assert time.monotonic() - started_at < 15


def test_a_hub_that_never_answers(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started_at = time.monotonic()
        said = fetch("owner/tiny", f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path)
    assert said.startswith("backend_unavailable")
    assert time.monotonic() - started_at < 15


def test_find_model_wants_all_files(tmp_path):
    with pytest.raises(ModelNotFound, match="no folder"):
        find_model(str(tmp_path / "nothing"))
    with pytest.raises(BackendMisconfigured, match=r"no config\.json"):
        find_model(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})
    )
    (tmp_path / "model-1.safetensors").touch()
    with pytest.raises(BackendMisconfigured, match=r"incomplete: model-2\.safetensors missing"):
        find_model(str(tmp_path))
    (tmp_path / "model-2.safetensors").touch()
    assert find_model(str(tmp_path)) == tmp_path.resolve()


def test_is_path():
    assert [is_path(name) for name in ("./a", "../a", "/a", "~/a", "gpt2", "owner/name")] == [True] * 4 + [False] * 2
