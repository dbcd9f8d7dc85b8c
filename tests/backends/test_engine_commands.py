"""``manage.py runengine`` and ``manage.py engine``, with engines that have no model."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from backends import chat_backends
from backends.transformers.address import ALREADY_RUNNING
from tests.backends.fake_service import ROOT, answer, connected, running


@pytest.fixture(autouse=True)
def address(settings, tmp_path):
    settings.CHAT_ENGINE_ADDRESS = f"unix:{tmp_path}/engine.sock"
    local = "backends.transformers.TransformersBackend"
    settings.CHAT_BACKENDS = {
        "small": {"BACKEND": local, "OPTIONS": {"model": "small"}},
        "broken": {"BACKEND": local, "OPTIONS": {"model": "broken"}},
        "echo": {"BACKEND": "tests.fakes.EchoBackend"},
        "wrong": {"BACKEND": "nowhere.Backend"},
    }
    return settings.CHAT_ENGINE_ADDRESS


def call(*arguments, **options) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue()


async def acall(*arguments) -> str:
    return await asyncio.to_thread(call, *arguments)


async def test_status_shows_the_engines(address):
    async with running(address), connected(address) as client:
        assert "No model has been asked for" in await acall("engine", "status")
        await answer(client, chat_backends["small"].engine_key(), "hello")
        table = await acall("engine", "status")
        assert "web processes: 1, models at once: 3" in table
        head, row = table.splitlines()[1:]
        assert head.split()[:4] == ["backend", "model", "state", "device"]
        assert row.split()[:5] == ["small", "small", "ready", "cpu", "float32"]
        assert "0/16" in row
        figures = json.loads(await acall("engine", "status", "--json"))
        assert figures["engines"][0]["received"] == 1


async def test_load_and_unload(address):
    async with running(address), connected(address) as client:
        assert "small is loaded" in await acall("engine", "load", "small")
        assert [engine["state"] for engine in (await client.status())["engines"]] == ["ready"]
        assert "small is unloaded" in await acall("engine", "unload", "small")
        assert [engine["state"] for engine in (await client.status())["engines"]] == ["absent"]


async def test_load_says_why_it_failed(address):
    async with running(address):
        with pytest.raises(CommandError, match=r"There is no such model\. Fetch it"):
            await acall("engine", "load", "broken")
        assert "broken: There is no such model." in await acall("engine", "status")


@pytest.mark.parametrize("arguments", [["status"], ["load", "small"], ["unload", "small"]])
def test_it_says_that_no_service_runs(arguments, tmp_path):
    with pytest.raises(CommandError, match=r"No engine service listens.*python manage.py runengine"):
        call("engine", *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("alias", "why"),
    [("nobody", "no alias 'nobody'"), ("echo", "runs no model on this machine"), ("wrong", "cannot be used")],
)
def test_it_wants_a_local_model(alias, why):
    with pytest.raises(CommandError, match=why):
        call("engine", "load", alias)
    with pytest.raises(CommandError, match=why):
        call("runengine", "--preload", alias)


RUNENGINE = """
import sys
from functools import partial

import django
from django.conf import settings
from django.core.management import execute_from_command_line

small = {"BACKEND": "backends.transformers.TransformersBackend", "OPTIONS": {"model": "small"}}
settings.configure(
    INSTALLED_APPS=["backends.transformers"], CHAT_BACKENDS={"small": small}, CHAT_ENGINE_ADDRESS=sys.argv[1]
)
django.setup()

from backends.transformers.management.commands import runengine
from tests.backends.fake_service import FAKE_ENGINE

runengine.ServiceOptions = partial(runengine.ServiceOptions, engine_command=FAKE_ENGINE)
execute_from_command_line(["manage.py", "runengine", *sys.argv[2:]])
"""


def test_runengine_says_what_it_does_until_it_is_told_to_stop(address):
    command = [sys.executable, "-c", RUNENGINE, address, "--preload", "small"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as service:
        try:
            lines = [service.stdout.readline() for _ in range(3)]
            second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            service.send_signal(signal.SIGTERM)
            lines += service.communicate(timeout=5)[0].splitlines()
        finally:
            service.kill()
    assert service.returncode == 0
    said = [line.strip().partition(" ")[2] for line in lines]
    assert said[0].startswith(f"The engine service listens at {address} for processes of this user")
    assert said[1:] == [
        "The model small: loading",
        "The model small: ready",
        "The model small: ended",
        "The engine service has ended",
    ]
    assert second.returncode == ALREADY_RUNNING
    assert f"has {address} already: process {service.pid}" in second.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--address", "localhost"], "is no address"),
        (["--address", "tcp:127.0.0.1:0"], "needs a token.*CHAT_ENGINE_TOKEN"),
        (["--max-models", "0"], "too few"),
        (["--max-models", "1", "--preload", "small", "broken"], "too few"),
    ],
)
def test_runengine_says_what_is_wrong(arguments, why):
    with pytest.raises(CommandError, match=why):
        call("runengine", *arguments)
