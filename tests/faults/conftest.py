"""A scripted server for each test, and the site's settings for it."""

from __future__ import annotations

import importlib
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.backends.fake_openai import FakeOpenAI
from tests.faults.cases import Fault

KEY = "sk-swordfish"
NOWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture(scope="session", autouse=True)
def _sdk() -> None:
    """Import it beforehand: that takes longer than the limits of most faults."""
    importlib.import_module("backends.openai.connection")


@pytest.fixture(scope="session")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder: Path = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=fake"]
    files = ["-keyout", str(key), "-out", str(certificate), "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", "req", "-x509", *made, *files], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


@pytest.fixture
def elsewhere() -> Iterator[FakeOpenAI]:
    """Another origin."""
    with FakeOpenAI() as running:
        yield running


@pytest.fixture
def serve(request: pytest.FixtureRequest, settings: Any) -> Iterator[Callable[[Fault], FakeOpenAI]]:
    """Start a server that plays the fault, and make it the backend ``openai`` of the site."""
    with ExitStack() as running:

        def start(fault: Fault) -> FakeOpenAI:
            server = running.enter_context(FakeOpenAI())
            if fault.script == "tls":
                server = running.enter_context(FakeOpenAI(tls=request.getfixturevalue("self_signed")))
            if fault.script == "redirect":
                server.redirect_to = f"{request.getfixturevalue('elsewhere').base_url}/chat/completions"
            address = NOWHERE if fault.script == "refused" else server.base_url
            options = {"model": "fake", "api_key": KEY, "base_url": address, "timeout": 5.0, "max_retries": 0}
            backend = {"BACKEND": "backends.openai.OpenAIBackend", "OPTIONS": options | fault.options}
            settings.CHAT_BACKENDS = {"openai": backend | {"LIMITS": fault.limits}}
            return server

        yield start
